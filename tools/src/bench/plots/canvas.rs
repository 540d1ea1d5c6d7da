//! What all pictures share: colours, letters, and the few shapes that are not a chart's.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::{BLACK, Color, IntoFont, RGBColor, TextStyle, WHITE};
use plotters::style::ShapeStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Okabe and Ito's palette, which all eyes tell apart.
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Lines that only guide the eye.
pub const FAINT: RGBColor = RGBColor(225, 225, 225);
/// Words that are not the main thing.
pub const GREY: RGBColor = RGBColor(90, 90, 90);
pub const FONT: &str = "sans-serif";

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A sheet of white with the name of the picture and a line that says what it shows.
pub struct Canvas<'a> {
    pub area: Area<'a>,
}

/// Where a text stands: its left end, its middle or its right end at the place that is given.
#[derive(Clone, Copy)]
pub enum Align {
    Left,
    Middle,
    Right,
}

impl<'a> Canvas<'a> {
    /// Height of the part with title and subtitle.
    pub const HEAD: i32 = 62;

    pub fn new(path: &'a Path, size: (i32, i32), title: &str, subtitle: &str) -> Result<Self> {
        let area = SVGBackend::new(path, (size.0.cast_unsigned(), size.1.cast_unsigned())).into_drawing_area();
        area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
        let canvas = Self { area };
        canvas.text(title, (16, 22), 18, BLACK, Align::Left)?;
        canvas.text(subtitle, (16, 44), 13, GREY, Align::Left)?;
        Ok(canvas)
    }

    /// A text whose middle has the height of `at`.
    pub fn text(&self, text: &str, at: (i32, i32), size: i32, colour: RGBColor, align: Align) -> Result<()> {
        let side = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style: TextStyle<'_> = (FONT, size).into_font().color(&colour).pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), at, style)).map_err(|error| anyhow!("{error}"))
    }

    pub fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor, width: u32) -> Result<()> {
        self.area.draw(&PathElement::new(vec![from, to], colour.stroke_width(width))).map_err(|error| anyhow!("{error}"))
    }

    /// A bar of this size, its upper left corner at `at`.
    pub fn bar(&self, at: (i32, i32), (width, height): (i32, i32), colour: RGBColor) -> Result<()> {
        let shape = Rectangle::new([at, (at.0 + width, at.1 + height)], colour.filled());
        self.area.draw(&shape).map_err(|error| anyhow!("{error}"))
    }

    /// A disc.
    pub fn dot(&self, at: (i32, i32), colour: RGBColor) -> Result<()> {
        self.circle(at, 4, colour.filled())
    }

    /// A circle with a hole, through which a dot at the same place is seen.
    pub fn ring(&self, at: (i32, i32), colour: RGBColor) -> Result<()> {
        self.circle(at, 6, colour.stroke_width(2))
    }

    fn circle(&self, at: (i32, i32), radius: i32, style: ShapeStyle) -> Result<()> {
        self.area.draw(&Circle::new(at, radius, style)).map_err(|error| anyhow!("{error}"))
    }

    /// Writes the file.
    pub fn finish(self) -> Result<()> {
        self.area.present().map_err(|error| anyhow!("{error}"))
    }
}

/// `1234567` as `1 234 567`, with thin spaces.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(
            [7, 1234, 12345, 150_714, 1_000_000].map(grouped),
            ["7", "1234", "12\u{2009}345", "150\u{2009}714", "1\u{2009}000\u{2009}000"]
        );
    }
}
