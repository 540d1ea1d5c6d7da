//! `costs.svg`: each operation that Linux has too, this kernel's count and Linux's, on one logarithmic scale.
//!
//! Two dots a row and not two bars: the counts span five decades, and the length of a bar means nothing on such a scale.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::BLACK;

use super::Cost;
use super::canvas::{Align, COLOURS, Canvas, FAINT, GREY, grouped};

const WIDTH: i32 = 900;
const ROW: i32 = 20;
/// Where the scale begins, and how long a decade is.
const LEFT: i32 = 250;
const DECADE: f64 = 108.0;
const DECADES: i32 = 6;
/// Room for the scale's own numbers.
const SCALE: i32 = 26;
/// What is no path through the kernel, or too long for the scale.
const LEFT_OUT: &str = "boot.";

pub fn draw(path: &Path, costs: &[Cost]) -> Result<()> {
    let rows: Vec<(&str, u64, u64)> = costs
        .iter()
        .filter(|row| !row.operation.starts_with(LEFT_OUT))
        .filter_map(|row| Some((row.operation.as_str(), row.tetra, row.linux?)))
        .collect();
    let top = Canvas::HEAD + SCALE;
    let bottom = top + ROW * rows.len() as i32;
    let subtitle = "Arm64, warm and uncontended, counted under QEMU; Linux: Debian's 6.12 on the same emulator";
    let canvas = Canvas::new(path, (WIDTH, bottom + SCALE), "Instructions per operation", subtitle)?;
    legend(&canvas)?;
    for decade in 0..=DECADES - 1 {
        let (x, number) = (place(10_u64.pow(decade.cast_unsigned())), grouped(10_u64.pow(decade.cast_unsigned())));
        canvas.line((x, top), (x, bottom), FAINT, 1)?;
        canvas.text(&number, (x, top - 12), 12, GREY, Align::Middle)?;
        canvas.text(&number, (x, bottom + 12), 12, GREY, Align::Middle)?;
    }
    for (index, &(name, tetra, linux)) in rows.iter().enumerate() {
        let y = top + ROW * index as i32 + ROW / 2;
        if index != 0 && group(name) != group(rows[index - 1].0) {
            canvas.line((16, y - ROW / 2), (WIDTH - 16, y - ROW / 2), GREY, 1)?;
        }
        canvas.text(name, (16, y), 13, BLACK, Align::Left)?;
        pair(&canvas, y, tetra, linux)?;
    }
    canvas.finish()
}

fn legend(canvas: &Canvas<'_>) -> Result<()> {
    canvas.dot((WIDTH - 190, 22), COLOURS[0])?;
    canvas.text("Tetra", (WIDTH - 178, 22), 14, BLACK, Align::Left)?;
    canvas.ring((WIDTH - 110, 22), COLOURS[1])?;
    canvas.text("Linux 6.12", (WIDTH - 98, 22), 14, BLACK, Align::Left)
}

/// Both counts, the smaller one's number on the left and the larger one's on the right.
fn pair(canvas: &Canvas<'_>, y: i32, tetra: u64, linux: u64) -> Result<()> {
    let (own, other) = (place(tetra), place(linux));
    canvas.line((own, y), (other, y), GREY, 1)?;
    canvas.ring((other, y), COLOURS[1])?;
    canvas.dot((own, y), COLOURS[0])?;
    let (left, right) = (own.min(other) - 10, own.max(other) + 10);
    canvas.text(&grouped(tetra.max(linux)), (right, y), 12, BLACK, Align::Left)?;
    if tetra == linux { Ok(()) } else { canvas.text(&grouped(tetra.min(linux)), (left, y), 12, BLACK, Align::Right) }
}

fn place(value: u64) -> i32 {
    LEFT + ((value.max(1) as f64).log10() * DECADE).round() as i32
}

/// `sync` of `sync.spin_lock`.
fn group(operation: &str) -> &str {
    operation.split('.').next().unwrap_or(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_fits() {
        assert_eq!(place(1), LEFT);
        assert_eq!(place(100) - place(10), place(1000) - place(100));
        assert!(place(200_000) + 60 < WIDTH, "the longest number behind the last dot");
    }
}
