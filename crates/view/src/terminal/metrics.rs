//! Metrics: a line for each series that a request brings, or one table of all.

use unicode_width::UnicodeWidthStr;

use crate::model::{Metrics, Series, SeriesKey};
use crate::screen::Screen;
use crate::text::{BAR, BOLD, DIM, Line, PLAIN, pad};

/// Of one request.
const MAX_LINES: usize = 20;
const MAX_ROWS: usize = 20;
const MIN_ROWS: usize = 3;
const TREND_COLUMNS: usize = 12;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `metric  my-service  http.server.duration  count=3 mean=0.5 s  http.method=GET`
pub fn lines(metrics: &Metrics, touched: &[SeriesKey], screen: &Screen) -> String {
    let wanted: Vec<_> = touched.iter().filter(|key| screen.filter.has_metrics_of(&key.service)).collect();
    let mut text = String::new();
    for (key, series) in wanted.iter().take(MAX_LINES).filter_map(|key| Some((key, metrics.get(key)?))) {
        let mut line = Line::new(screen.paint, screen.size.columns());
        line.push(DIM, "metric");
        line.push_column(PLAIN, &key.service);
        line.push_column(BOLD, &key.name);
        line.push_column(PLAIN, &series.text());
        line.push_column(PLAIN, &key.attributes);
        text.push_str(&line.finish());
    }
    let hidden = wanted.len().saturating_sub(MAX_LINES);
    if hidden > 0 {
        text.push_str(&format!("metric  … {hidden} more\n"));
    }
    text
}

/// As many rows as a third of the screen has.
pub fn table(metrics: &Metrics, screen: &Screen) -> Vec<String> {
    let columns = screen.size.columns().unwrap_or(usize::MAX);
    let wanted: Vec<_> = metrics.iter().filter(|(key, _)| screen.filter.has_metrics_of(&key.service)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let rows = (screen.size.rows() / 3).clamp(MIN_ROWS, MAX_ROWS);
    let hidden = wanted.len().saturating_sub(rows);
    let width = |most: usize, text: &dyn Fn(&(&SeriesKey, &Series)) -> String| {
        let longest = wanted.iter().take(rows).map(|row| text(row).width()).max();
        longest.unwrap_or(0).min(most)
    };
    let service = width(columns / 5, &|(key, _)| key.service.to_string());
    let name = width(columns / 4, &|(key, _)| key.name.to_string());
    let value = width(columns / 4, &|(_, series)| series.text());

    let mut title = Line::new(screen.paint, Some(columns));
    title.push(BOLD, "metrics");
    title.push_column(DIM, &format!("{} series", wanted.len()));
    if metrics.dropped > 0 {
        title.push_column(DIM, &format!("no room for {} points of more series", metrics.dropped));
    }
    let mut lines = vec![title.finish()];
    lines.extend(wanted.iter().take(rows).map(|(key, series)| {
        let mut line = Line::new(screen.paint, Some(columns));
        line.push(PLAIN, &pad(&key.service, service));
        line.push_column(BOLD, &pad(&key.name, name));
        line.push_column(PLAIN, &pad(&series.text(), value));
        line.push_column(BAR, &pad(&trend(series), TREND_COLUMNS));
        line.push_column(DIM, &key.attributes);
        line.finish()
    }));
    if hidden > 0 {
        lines.push(format!("… {hidden} more\n"));
    }
    lines
}

/// The last points as blocks, from the lowest to the highest of them.
fn trend(series: &Series) -> String {
    let skipped = series.points.len().saturating_sub(TREND_COLUMNS);
    let points: Vec<f64> = series.points.iter().skip(skipped).map(|(_, height)| *height).collect();
    let lowest = points.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = highest - lowest;
    let block = |point: &f64| {
        let share = if range > 0.0 { (point - lowest) / range } else { 0.0 };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    };
    points.iter().map(block).collect()
}
