//! `cargo xtask pictures`: the pictures of README.md and docs/window.md, made from the screenshots
//! that the tests of tray and window leave in target/screenshots.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::machine;
use crate::step::{command, root, run, target};

/// Maximum size of all pictures together: they are in every clone of the repository.
const MAX_BYTES: u64 = 600 << 10;

/// A picture of the documents.
struct Picture {
    /// Name of the screenshot, and of the picture.
    name: &'static str,
    /// The part of the screenshot that is shown, as `ImageMagick` writes it (`WIDTHxHEIGHT+X+Y`).
    /// None: all of it.
    crop: Option<&'static str>,
}

const fn whole(name: &'static str) -> Picture {
    Picture { name, crop: None }
}

/// The pictures. The tray's screenshot shows the whole desktop; its menu opens in the upper left
/// corner.
const PICTURES: [Picture; 9] = [
    Picture { name: "tray-menu", crop: Some("297x294+0+0") },
    whole("window-welcome-light"),
    whole("window-overview-light"),
    whole("window-overview-dark"),
    whole("window-today-light"),
    whole("window-my-data-light"),
    whole("window-logs-light"),
    whole("window-connection-light"),
    whole("window-help-light"),
];

/// Writes the pictures to docs/pictures.
pub(crate) fn write() -> Result<()> {
    machine::pictures()?;
    let (from, to) = (target().join("screenshots"), root().join("docs/pictures"));
    fs::create_dir_all(&to)?;
    let mut bytes = 0;
    for picture in &PICTURES {
        let screenshot = from.join(picture.name).with_extension("png");
        ensure!(
            screenshot.exists(),
            "{} is missing; the tests `tray` and `window` write it (cargo test --test tray --test window)",
            screenshot.display()
        );
        let file = to.join(picture.name).with_extension("png");
        make(picture, &screenshot, &file)?;
        let size = fs::metadata(&file)?.len();
        println!("{} ({} KiB)", file.display(), size / 1024);
        bytes += size;
    }
    ensure!(bytes <= MAX_BYTES, "the pictures have {} KiB; at most {} are allowed", bytes >> 10, MAX_BYTES >> 10);
    Ok(())
}

/// Crops a screenshot, reduces its colours to a palette, and removes everything but the picture.
fn make(picture: &Picture, screenshot: &Path, file: &Path) -> Result<()> {
    let mut convert = command(&["convert"]);
    convert.arg(screenshot);
    if let Some(crop) = picture.crop {
        convert.args(["-crop", crop, "+repage"]);
    }
    run(convert.arg("-strip").arg(file))?;
    let words = ["pngquant", "--force", "--strip", "--speed", "1", "--quality", "60-95", "--output"];
    run(command(&words).arg(file).arg(file)).context("pngquant")?;
    run(command(&["optipng", "-quiet", "-o5"]).arg(file)).context("optipng")
}
