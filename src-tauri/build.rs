//! Draws the icons from their layers in icons/layers, then runs Tauri's build script.
//!
//! Each state is a coloured disc with a white glyph. The glyphs differ too, for people who cannot
//! tell the colours apart. The files that Tauri and Windows need go to icons/generated, the tray's
//! pictures to `OUT_DIR` as plain RGBA.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Name, colour and glyph of each state. Each colour has a contrast of at least 3 to white, to
/// black and to both task bars.
const STATES: [(&str, &str, &str); 5] = [
    ("starting", "#5f6b7a", "dots"),
    ("delivering", "#14805a", "arrow"),
    ("buffering", "#a86a00", "layers"),
    ("attention", "#cc2b2b", "exclamation"),
    ("paused", "#5f6b7a", "bars"),
];
/// Side of a tray picture in pixels: twice the usual size, for screens at 200 %.
const TRAY_SIDE: u32 = 32;
/// Sides of the pictures in the icon file for Windows.
const WINDOWS_SIDES: [u32; 6] = [16, 24, 32, 48, 64, 256];

fn main() -> Result<()> {
    let icons = Path::new("../icons");
    println!("cargo:rerun-if-changed=../icons/layers");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../ui/licences.js");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?);
    for (state, colour, glyph) in STATES {
        fs::write(out.join(format!("{state}.rgba")), draw(icons, colour, &["disc", glyph], TRAY_SIDE)?.data())?;
        let shared = draw(icons, colour, &["disc", glyph, "mark"], TRAY_SIDE)?;
        fs::write(out.join(format!("{state}-shared.rgba")), shared.data())?;
    }
    let generated = icons.join("generated");
    fs::create_dir_all(&generated)?;
    let program = |side| draw(icons, STATES[1].1, &["disc", "arrow"], side);
    write_if_changed(&generated.join("icon.png"), &program(256)?.encode_png()?)?;
    let pictures: Vec<(u32, Vec<u8>)> =
        WINDOWS_SIDES.into_iter().map(|side| Ok((side, program(side)?.encode_png()?))).collect::<Result<_>>()?;
    write_if_changed(&generated.join("icon.ico"), &icon_file(&pictures))?;
    write_empty_licences(Path::new("../ui/licences.js"))?;
    tauri_build::try_build(tauri_build::Attributes::new())
}

/// Writes an empty list of components where `cargo xtask licences` has not written the real one
/// yet, so that a plain `cargo build` works. The window then refers to the release.
fn write_empty_licences(file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    fs::write(file, "export const licences = [];\n").with_context(|| format!("failed to write {}", file.display()))
}

/// Writes a file only if its content changes, because Tauri rebuilds when its time changes.
fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    fs::write(file, bytes).with_context(|| format!("failed to write {}", file.display()))
}

/// Draws layers on top of each other; `currentColor` in a layer becomes `colour`.
fn draw(icons: &Path, colour: &str, layers: &[&str], side: u32) -> Result<Pixmap> {
    let mut pixmap = Pixmap::new(side, side).context("the side of a picture is 0")?;
    for layer in layers {
        let file = icons.join("layers").join(layer).with_extension("svg");
        let svg = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let tree = Tree::from_str(&svg.replace("currentColor", colour), &Options::default())?;
        let scale = side as f32 / tree.size().width();
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    }
    Ok(pixmap)
}

/// Creates an icon file for Windows (ICONDIR with PNG pictures, which Windows Vista and later
/// read).
fn icon_file(pictures: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, u8::try_from(pictures.len()).unwrap_or_default(), 0];
    let mut offset = 6 + 16 * u32::try_from(pictures.len()).unwrap_or_default();
    for (side, png) in pictures {
        // The format stores 256 as 0.
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
