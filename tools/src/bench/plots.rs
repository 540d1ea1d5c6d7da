//! The figures as pictures: SVG on white, readable in light and dark, in target/bench.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::{BLACK, Color, Cross, IntoFont, IntoLogRange, LineSeries, RGBColor, SeriesLabelPosition, TextStyle, WHITE};

use super::session::Row;
use super::table::Line;

/// Okabe and Ito's palette, which all eyes tell apart.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Bars: each operation of the group that Linux has too.
pub fn costs(path: &Path, lines: &[Line], group: &str) -> Result<()> {
    const WIDTH: u32 = 900;
    const ROW: i32 = 34;
    const HEAD: i32 = 64;
    const NAMES: i32 = 250;
    const BARS: i32 = 570;

    let rows: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line.target.operation.strip_prefix(group)?, line.instructions?, line.target.linux?)))
        .collect();
    let most = rows.iter().map(|&(_, tetra, linux)| tetra.max(linux)).max().unwrap_or(1).max(1) as f64;
    let area = SVGBackend::new(path, (WIDTH, (HEAD + ROW * rows.len() as i32 + 12) as u32)).into_drawing_area();
    fill(&area)?;
    text(&area, "Instructions per operation, uncontended, counted", (16, 14), 20)?;
    for (number, name) in ["Tetra", "Linux 6.12"].into_iter().enumerate() {
        let x = NAMES + number as i32 * 120;
        bar(&area, (x, 44), 14, COLOURS[number])?;
        text(&area, name, (x + 20, 43), 14)?;
    }
    for (number, (name, tetra, linux)) in rows.into_iter().enumerate() {
        let y = HEAD + number as i32 * ROW;
        text(&area, name, (16, y + 8), 15)?;
        for (offset, value, colour) in [(2, tetra, COLOURS[0]), (16, linux, COLOURS[1])] {
            let length = (value as f64 / most * f64::from(BARS)).ceil() as i32;
            bar(&area, (NAMES, y + offset), length.max(1), colour)?;
            text(&area, &value.to_string(), (NAMES + length + 6, y + offset), 12)?;
        }
    }
    area.present().map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// A curve for each `by`: how `PREFIX.NUMBER SUFFIX` grows with the number. Both axes are logarithmic if the numbers span more than a decade.
pub fn curves(path: &Path, rows: &[Row], (prefix, suffix): (&str, &str), (title, x, y): (&str, &str, &str)) -> Result<()> {
    let point =
        |row: &Row| Some((row.operation.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<f64>().ok()?, row.instructions.max(1) as f64));
    let mut names: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| point(row).is_some()) {
        if !names.contains(&row.by.as_str()) {
            names.push(&row.by);
        }
    }
    let points: Vec<(f64, f64)> = rows.iter().filter_map(point).collect();
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(1.0, f64::max);
    let least = points.iter().map(|point| point.0).fold(f64::MAX, f64::min);
    let (right, top) = (most(|point| point.0), most(|point| point.1));

    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let area = SVGBackend::new(path, (900, 480)).into_drawing_area();
    fill(&area)?;
    let mut builder = ChartBuilder::on(&area);
    builder.caption(title, (FONT, 20)).margin(16).x_label_area_size(46).y_label_area_size(76);
    macro_rules! draw {
        ($x:expr, $y:expr) => {{
            let mut chart = builder.build_cartesian_2d($x, $y).map_err(|error| failed(&error))?;
            let label = |value: &f64| format!("{value:.0}");
            chart
                .configure_mesh()
                .x_desc(x)
                .y_desc(y)
                .x_label_formatter(&label)
                .y_label_formatter(&label)
                .label_style((FONT, 14))
                .draw()
                .map_err(|error| failed(&error))?;
            for (name, colour) in names.iter().zip(COLOURS) {
                let own: Vec<_> = rows.iter().filter(|row| row.by == *name).filter_map(point).collect();
                chart
                    .draw_series(LineSeries::new(own.iter().copied(), colour.stroke_width(2)))
                    .map_err(|error| failed(&error))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 22, y)], colour.stroke_width(2)));
                chart.draw_series(own.into_iter().map(|at| Cross::new(at, 3, colour))).map_err(|error| failed(&error))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE)
                .border_style(BLACK)
                .label_font((FONT, 14))
                .draw()
                .map_err(|error| failed(&error))?;
        }};
    }
    if right > least * 10.0 {
        draw!((least..right).log_scale(), (1.0..top * 2.0).log_scale());
    } else {
        draw!(least..right, 0.0..top * 1.3);
    }
    area.present().map_err(|error| failed(&error))
}

fn fill(area: &Area<'_>) -> Result<()> {
    area.fill(&WHITE).map_err(|error| anyhow!("{error}"))
}

fn text(area: &Area<'_>, text: &str, at: (i32, i32), size: i32) -> Result<()> {
    let style: TextStyle = (FONT, size).into_font().color(&BLACK);
    area.draw(&Text::new(text.to_owned(), at, style)).map_err(|error| anyhow!("{error}"))
}

fn bar(area: &Area<'_>, (x, y): (i32, i32), length: i32, colour: RGBColor) -> Result<()> {
    const THICKNESS: i32 = 12;
    area.draw(&Rectangle::new([(x, y), (x + length, y + THICKNESS)], colour.filled())).map_err(|error| anyhow!("{error}"))
}
