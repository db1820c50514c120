//! The project files of a take: REAPER (spec 7.4) and Audacity (spec 7.5).

use jam_proto::rng::Rng;
use std::fmt::Write;
use std::path::Path;

/// One recorded file.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// `<NAME>-<HOST>`, with the latest name.
    pub(super) track: String,
    pub(super) file_name: String,
    /// From the start of the take, in samples per side.
    pub(super) position: u64,
    pub(super) length: u64,
}

/// Orders items as both project files list them: by track, then as recorded.
pub(super) fn sort(items: &mut [Item]) {
    items.sort_by(|a, b| a.track.cmp(&b.track));
}

/// The text of the `.rpp` file. `items` are sorted.
pub(super) fn reaper(items: &[Item], directory: &Path, rng: &mut Rng) -> String {
    let mut text = String::from(concat!(
        "<REAPER_PROJECT 0.1 \"5.0\" 1551567848\n",
        "  RECORD_PATH \"\" \"\"\n",
        "  SAMPLERATE 48000 0 0\n",
        "  TEMPO 120 4 4\n",
    ));
    let mut iid = 0;
    for track in items.chunk_by(|a, b| a.track == b.track) {
        let Some(Item { track: name, .. }) = track.first() else { continue };
        let id = guid(rng);
        line(&mut text, format_args!("  <TRACK {id}"));
        line(&mut text, format_args!("    NAME {name}"));
        line(&mut text, format_args!("    TRACKID {id}"));
        for (n, item) in track.iter().enumerate() {
            let path = directory.join(&item.file_name);
            // The original has a space after ITEM.
            line(&mut text, format_args!("    <ITEM "));
            line(&mut text, format_args!("      FADEIN 0 0 0 0 0 0"));
            line(&mut text, format_args!("      FADEOUT 0 0 0 0 0 0"));
            line(&mut text, format_args!("      POSITION {:.14}", seconds(item.position)));
            line(&mut text, format_args!("      LENGTH {:.14}", seconds(item.length)));
            line(&mut text, format_args!("      IGUID {}", guid(rng)));
            line(&mut text, format_args!("      IID {iid}"));
            line(&mut text, format_args!("      NAME {name} ({})", n + 1));
            line(&mut text, format_args!("      GUID {}", guid(rng)));
            line(&mut text, format_args!("      <SOURCE WAVE"));
            line(&mut text, format_args!("        FILE \"{}\"", path.display()));
            line(&mut text, format_args!("      >"));
            line(&mut text, format_args!("    >"));
            iid += 1;
        }
        line(&mut text, format_args!("  >"));
    }
    text.push_str(">\n");
    text
}

/// The text of the `.lof` file. `items` are sorted.
pub(super) fn audacity(items: &[Item]) -> String {
    let mut text = String::new();
    for item in items {
        line(&mut text, format_args!("file \"{}\" offset {:.14}", item.file_name, seconds(item.position)));
    }
    text
}

fn line(text: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(args);
    text.push('\n');
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / 48_000.0
}

/// A random identifier (version 4) in lower case and braces.
fn guid(rng: &mut Rng) -> String {
    let (a, b) = (rng.next_u64(), rng.next_u64());
    format!(
        "{{{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}}}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0x0fff,
        (b >> 48) & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    )
}
