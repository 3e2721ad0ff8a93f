//! Draws the icons from their layers in icons/layers, then does what Tauri wants to be done.
//!
//! Each state is a disc in its colour and a glyph in white: the glyphs tell the states apart where colours do not. The
//! sizes that Tauri and Windows want as files go to icons/generated, the tray's pictures to `OUT_DIR` as plain RGBA.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// States, their colours (each with a contrast of at least 3 to white, to black and to both task bars), their glyphs.
const STATES: [(&str, &str, &str); 5] = [
    ("starting", "#5f6b7a", "dots"),
    ("delivering", "#14805a", "arrow"),
    ("buffering", "#a86a00", "layers"),
    ("attention", "#cc2b2b", "exclamation"),
    ("paused", "#5f6b7a", "bars"),
];
/// Side of a picture for the tray: twice the usual size, for screens at 200 %.
const TRAY: u32 = 32;
/// Sides of the pictures in Windows' icon file.
const WINDOWS: [u32; 6] = [16, 24, 32, 48, 64, 256];

fn main() -> Result<()> {
    let icons = Path::new("../icons");
    println!("cargo:rerun-if-changed=../icons/layers");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo names a folder")?);
    for (state, colour, glyph) in STATES {
        fs::write(out.join(format!("{state}.rgba")), draw(icons, colour, &["disc", glyph], TRAY)?.data())?;
        let shared = draw(icons, colour, &["disc", glyph, "mark"], TRAY)?;
        fs::write(out.join(format!("{state}-shared.rgba")), shared.data())?;
    }
    let generated = icons.join("generated");
    fs::create_dir_all(&generated)?;
    let program = |side| draw(icons, STATES[1].1, &["disc", "arrow"], side);
    keep(&generated.join("icon.png"), &program(256)?.encode_png()?)?;
    let pictures: Vec<(u32, Vec<u8>)> =
        WINDOWS.into_iter().map(|side| Ok((side, program(side)?.encode_png()?))).collect::<Result<_>>()?;
    keep(&generated.join("icon.ico"), &icon_file(&pictures))?;
    tauri_build::try_build(tauri_build::Attributes::new())
}

/// Writes what has changed only: Tauri looks at the time of the file.
fn keep(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    fs::write(file, bytes).with_context(|| format!("{} cannot be written", file.display()))
}

/// Lays layers over each other. What they leave to `currentColor` gets the colour.
fn draw(icons: &Path, colour: &str, layers: &[&str], side: u32) -> Result<Pixmap> {
    let mut pixmap = Pixmap::new(side, side).context("no picture without a side")?;
    for layer in layers {
        let file = icons.join("layers").join(layer).with_extension("svg");
        let svg = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let tree = Tree::from_str(&svg.replace("currentColor", colour), &Options::default())?;
        let scale = side as f32 / tree.size().width();
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    }
    Ok(pixmap)
}

/// An icon file of Windows (ICONDIR with PNG pictures, which Windows Vista and later read).
fn icon_file(pictures: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, u8::try_from(pictures.len()).unwrap_or_default(), 0];
    let mut offset = 6 + 16 * u32::try_from(pictures.len()).unwrap_or_default();
    for (side, png) in pictures {
        // 256 is written as 0.
        let side = u8::try_from(*side).unwrap_or(0);
        let length = u32::try_from(png.len()).unwrap_or_default();
        file.extend([side, side, 0, 0, 1, 0, 32, 0]);
        file.extend(length.to_le_bytes());
        file.extend(offset.to_le_bytes());
        offset += length;
    }
    file.extend(pictures.iter().flat_map(|(_, png)| png));
    file
}
