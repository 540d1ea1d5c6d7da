//! `heaps-traces.svg`: what a call costs each heap in the three traces, and the memory that the trace takes.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::{BLACK, RGBColor};

use super::Peer;
use super::canvas::{Align, COLOURS, Canvas, GREY, grouped};

/// The traces by name, and what they are.
const TRACES: [(&str, &str); 3] =
    [("small", "small objects, short lives"), ("mixed", "16 B to 8 KiB"), ("grow_shrink", "32 B to 2 KiB, growing and shrinking")];
const WIDTH: i32 = 900;
const ROW: i32 = 20;
const GROUP: i32 = 34;
/// Where the bars of the two panels begin, and how long the longest may be.
const CALLS: i32 = 260;
const PEAK: i32 = 590;
const LONGEST: i32 = 230;

pub fn draw(path: &Path, rows: &[Peer]) -> Result<()> {
    let mut heaps: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.operation.starts_with("trace.")) {
        if !heaps.contains(&row.by.as_str()) {
            heaps.push(&row.by);
        }
    }
    let height = Canvas::HEAD + TRACES.len() as i32 * (GROUP + ROW * heaps.len() as i32) + 16;
    let subtitle = "bars are scaled within each trace and column; the traces are the same for all heaps";
    let canvas = Canvas::new(path, (WIDTH, height), "Three seeded traces of allocations, six heaps", subtitle)?;
    for (number, &(trace, what)) in TRACES.iter().enumerate() {
        let top = Canvas::HEAD + number as i32 * (GROUP + ROW * heaps.len() as i32);
        canvas.text(what, (16, top + 16), 14, BLACK, Align::Left)?;
        let (calls, peak) = (format!("trace.{trace}"), format!("trace.{trace}_peak_bytes"));
        canvas.text("instructions a call", (CALLS, top + 16), 12, GREY, Align::Left)?;
        canvas.text("peak memory, KiB", (PEAK, top + 16), 12, GREY, Align::Left)?;
        for (index, heap) in heaps.iter().enumerate() {
            let y = top + GROUP + index as i32 * ROW - 4;
            let colour = COLOURS[index % COLOURS.len()];
            canvas.text(heap, (16, y + 7), 13, BLACK, Align::Left)?;
            bar(&canvas, (CALLS, y), (rows, &calls, heap), 1, colour)?;
            bar(&canvas, (PEAK, y), (rows, &peak, heap), 1024, colour)?;
        }
    }
    canvas.finish()
}

/// The bar of one heap in one column, or a word that it did not run.
fn bar(canvas: &Canvas<'_>, (x, y): (i32, i32), (rows, operation, heap): (&[Peer], &str, &str), unit: u64, colour: RGBColor) -> Result<()> {
    let of = |row: &&Peer| row.operation == operation;
    let most = rows.iter().filter(of).map(|row| row.value).max().unwrap_or(1).max(1);
    let Some(row) = rows.iter().filter(of).find(|row| row.by == heap) else {
        return canvas.text("no room", (x, y + 7), 12, GREY, Align::Left);
    };
    let length = (row.value as f64 / most as f64 * f64::from(LONGEST)).round() as i32;
    canvas.bar((x, y), (length.max(1), 14), colour)?;
    canvas.text(&grouped(row.value / unit), (x + length + 6, y + 7), 12, BLACK, Align::Left)
}
