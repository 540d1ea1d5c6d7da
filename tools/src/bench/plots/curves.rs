//! `heaps-alive.svg`: a heap's cost against the objects alive; `locks.svg`: a lock's throughput and fairness against cores.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::element::{Circle, PathElement};
use plotters::prelude::{BLACK, Cartesian2d, Color, IntoFont, IntoLogRange, LineSeries, SVGBackend, SeriesLabelPosition, WHITE};

use super::Peer;
use super::canvas::{Area, COLOURS, Canvas, FAINT, FONT, grouped};

/// Somebody's curve.
struct Curve<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
}

/// The curves of the rows named `PREFIX NUMBER SUFFIX`, one for each `by`, in the order they come.
fn curves<'a>(rows: &'a [Peer], prefix: &str, suffix: &str) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    for row in rows {
        let number = row.operation.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
        let Some(Ok(x)) = number.map(str::parse::<f64>) else { continue };
        let point = (x, row.value as f64);
        match curves.iter_mut().find(|curve| curve.name == row.by) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: &row.by, points: vec![point] }),
        }
    }
    curves
}

fn most(curves: &[Curve<'_>], of: fn(&(f64, f64)) -> f64) -> f64 {
    curves.iter().flat_map(|curve| &curve.points).map(of).fold(1.0, f64::max)
}

/// Cost of a free and an allocation, 10 to 1000000 objects alive.
pub fn heaps(path: &Path, rows: &[Peer]) -> Result<()> {
    let curves = curves(rows, "live.", "");
    let subtitle =
        "64 bytes each, one in eight freed before; a curve ends where a pair takes more than 5000 instructions or the heap has no room";
    let canvas = Canvas::new(path, (900, 500), "A free and an allocation, against the number of objects alive", subtitle)?;
    let (right, top) = (most(&curves, |point| point.0), most(&curves, |point| point.1));
    let below = canvas.area.margin(Canvas::HEAD, 8, 8, 44);
    let mut chart = ChartBuilder::on(&below)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((10.0..right).log_scale(), (10.0..top * 1.5).log_scale())
        .map_err(|error| anyhow!("{error}"))?;
    mesh(&mut chart, ("objects alive", "instructions"), (6, 6))?;
    series(&mut chart, &curves, Some(SeriesLabelPosition::UpperLeft))?;
    drop(chart);
    canvas.finish()
}

/// Two panels: acquisitions in percent of the ticket lock's on one core; what the least lucky core had in percent of the luckiest.
pub fn locks(path: &Path, rows: &[Peer]) -> Result<()> {
    let mut throughput = curves(rows, "contend.", "_per_ms");
    let fairness = curves(rows, "contend.", "_fairness");
    let alone = throughput.first().and_then(|curve| curve.points.first()).map_or(1.0, |point| point.1).max(1.0);
    throughput.iter_mut().flat_map(|curve| &mut curve.points).for_each(|point| point.1 *= 100.0 / alone);

    let subtitle = "cores in lockstep, one shared clock: it shows the algorithms and not the caches";
    let canvas = Canvas::new(path, (900, 440), "One lock, one to four cores", subtitle)?;
    let (left, right) = canvas.area.margin(Canvas::HEAD, 8, 8, 16).split_horizontally(450);
    panel(&left, &throughput, "acquisitions, percent of the ticket lock's on one core", None)?;
    panel(&right, &fairness, "least lucky core, percent of the luckiest", Some(SeriesLabelPosition::LowerLeft))?;
    canvas.finish()
}

fn panel(area: &Area<'_>, curves: &[Curve<'_>], y: &str, legend: Option<SeriesLabelPosition>) -> Result<()> {
    let (right, top) = (most(curves, |point| point.0), most(curves, |point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.9..right + 0.1, 0.0..top * 1.05)
        .map_err(|error| anyhow!("{error}"))?;
    mesh(&mut chart, ("cores", y), (4, 6))?;
    series(&mut chart, curves, legend)
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// Axes with their names, and about so many numbers on each.
fn mesh<X, Y>(chart: &mut Chart<'_, '_, X, Y>, (x, y): (&str, &str), (columns, lines): (usize, usize)) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let label = |value: &f64| grouped(value.round() as u64);
    let mut style = chart.configure_mesh();
    style.x_desc(x).y_desc(y).x_labels(columns).y_labels(lines).x_label_formatter(&label).y_label_formatter(&label);
    style.label_style((FONT, 13)).axis_desc_style((FONT, 14)).bold_line_style(FAINT).light_line_style(WHITE);
    style.draw().map_err(|error| anyhow!("{error}"))
}

fn series<'a, 'b: 'a, X, Y>(chart: &mut Chart<'a, 'b, X, Y>, curves: &[Curve<'_>], legend: Option<SeriesLabelPosition>) -> Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (curve, colour) in curves.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)))
            .map_err(|error| anyhow!("{error}"))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 22, y)], colour.stroke_width(3)));
        let dots = curve.points.iter().map(|&at| Circle::new(at, 3, colour.filled()));
        chart.draw_series(dots).map_err(|error| anyhow!("{error}"))?;
    }
    let Some(place) = legend else { return Ok(()) };
    let mut labels = chart.configure_series_labels();
    labels.position(place).background_style(WHITE.mix(0.9)).border_style(FAINT).label_font((FONT, 13).into_font().color(&BLACK));
    labels.draw().map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_curve_for_each_name() {
        let row = |operation: &str, by: &str, value| Peer { operation: operation.to_owned(), by: by.to_owned(), value };
        let rows = [
            row("contend.1_per_ms", "a", 5),
            row("contend.1_fairness", "a", 100),
            row("contend.2_per_ms", "a", 4),
            row("contend.1_per_ms", "b", 7),
        ];
        let curves = curves(&rows, "contend.", "_per_ms");
        assert_eq!(curves.len(), 2);
        assert_eq!((curves[0].name, curves[0].points.as_slice()), ("a", [(1.0, 5.0), (2.0, 4.0)].as_slice()));
    }
}
