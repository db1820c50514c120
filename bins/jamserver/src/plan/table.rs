//! The answer of `jamserver plan`, for people and for programs.

use std::fmt::Write as _;

use super::{Question, Row, Verdict, quality_name};

/// The answer for people.
pub(super) fn text(question: &Question, rows: &[Row]) -> String {
    let Question { up, down, musicians, .. } = question;
    let mut out = format!(
        "A line with {up} up and {down} down, {musicians} musicians.\n\
         The server receives one stream from each musician and sends one mix to each, all of the same size.\n\n\
         buffer   channels  quality   kbit/s each way    musicians            {musicians} fit?\n\
         samples                      IP    with DSL     IP  with DSL  limit\n"
    );
    for row in rows {
        let verdict = match row.verdict(*musicians) {
            Verdict::Yes => "yes",
            Verdict::Tight => "tight",
            Verdict::No => "no",
        };
        let _ = writeln!(
            out,
            "{:>7}  {:<8}  {:<7} {:>6} {:>11} {:>6} {:>9}  {:<8} {verdict:>6}",
            row.buffer,
            row.channels(),
            quality_name(row.quality),
            row.bits / 1000,
            row.line_bits / 1000,
            row.musicians_max(),
            row.line_musicians_max(),
            row.limit(),
        );
    }
    out.push_str(
        "\nIP: audio with IP and UDP headers. With DSL: plus what a DSL line adds to each datagram, the figure clients\n\
         show. \"tight\" fits only on a line without that overhead. Lists, levels and pings need about 3 kbit/s more.\n\n",
    );
    out.push_str(&advice(question, rows));
    out
}

/// The sentence that answers the question.
fn advice(question: &Question, rows: &[Row]) -> String {
    let wanted = question.musicians;
    let Some(soundest) = best_sound(rows, wanted) else {
        let most = rows.iter().map(Row::line_musicians_max).max().unwrap_or(0);
        let limit = rows.first().map_or("line", Row::limit);
        return format!(
            "{wanted} musicians do not fit in any of these ways (at most {most} do). The {limit} is the limit: a \
             faster line, or a server at a hosting provider, helps.\n"
        );
    };
    let mut out = format!("Best sound for {wanted}: {}.\n", describe(soundest));
    // Rows are sorted by buffer, so the quickest is the best sounding of the first buffer that has any.
    let quickest = rows.iter().find(|r| r.verdict(wanted) == Verdict::Yes).and_then(|first| {
        let same: Vec<Row> = rows.iter().filter(|r| r.buffer == first.buffer).cloned().collect();
        best_sound(&same, wanted).cloned()
    });
    if let Some(quickest) = quickest.filter(|q| q != soundest) {
        let _ = writeln!(out, "Least delay for {wanted}: {}.", describe(&quickest));
    }
    out
}

/// The row with the best quality among those that fit; stereo before mono, then the smallest buffer.
fn best_sound(rows: &[Row], wanted: u32) -> Option<&Row> {
    rows.iter()
        .filter(|r| r.verdict(wanted) == Verdict::Yes)
        .max_by_key(|r| (r.quality, r.layout, std::cmp::Reverse(r.buffer)))
}

fn describe(row: &Row) -> String {
    format!(
        "{} samples, {}, {} quality: {} kbit/s each way per musician with DSL, up to {}",
        row.buffer,
        row.channels(),
        quality_name(row.quality),
        row.line_bits / 1000,
        row.line_musicians_max()
    )
}

/// The answer for programs: one JSON object.
pub(super) fn json(question: &Question, rows: &[Row]) -> String {
    let rows: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "buffer_samples": row.buffer,
                "channels": row.channels(),
                "quality": quality_name(row.quality),
                "bits_per_second": row.bits,
                "bits_per_second_dsl": row.line_bits,
                "musicians_max": row.musicians_max(),
                "musicians_max_dsl": row.line_musicians_max(),
                "musicians_max_up": row.up_max,
                "musicians_max_down": row.down_max,
                "limit": row.limit(),
                "fits": match row.verdict(question.musicians) {
                    Verdict::Yes => "yes",
                    Verdict::Tight => "tight",
                    Verdict::No => "no",
                },
            })
        })
        .collect();
    let answer = serde_json::json!({
        "up_bits_per_second": question.up.0,
        "down_bits_per_second": question.down.0,
        "musicians": question.musicians,
        "ip_bytes_per_datagram": question.ip_bytes,
        "rows": rows,
    });
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::question;
    use super::*;

    #[test]
    fn five_on_one_megabit_up_play_mono_low() {
        let question = question(1_000_000, 10_000_000, 5);
        let text = text(&question, &question.rows());
        assert!(text.contains("Best sound for 5: 256 samples, mono, low quality: 193 kbit/s"), "{text}");
        assert!(!text.contains("Least delay"), "one way only: {text}");
    }

    #[test]
    fn a_line_that_is_too_small_says_which_direction() {
        let question = question(500_000, 10_000_000, 9);
        let text = text(&question, &question.rows());
        assert!(
            text.contains("9 musicians do not fit") && text.contains("The upload is the limit"),
            "{text}"
        );
    }

    #[test]
    fn the_quickest_way_is_named_when_it_differs() {
        let question = question(5_000_000, 5_000_000, 5);
        let text = text(&question, &question.rows());
        assert!(
            text.contains("Best sound for 5: 64 samples") || text.contains("Least delay for 5: 64 samples"),
            "{text}"
        );
    }

    #[test]
    fn json_repeats_the_figures() {
        let question = question(1_000_000, 10_000_000, 5);
        let value: serde_json::Value = serde_json::from_str(&json(&question, &question.rows())).unwrap();
        assert_eq!(value["rows"].as_array().map(Vec::len), Some(24));
        assert_eq!(value["rows"][0]["bits_per_second"], 246_000);
        assert_eq!(value["rows"][16]["fits"], "yes");
    }
}
