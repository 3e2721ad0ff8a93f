//! Draws the tray with Tauri. No other module knows how the tray is drawn.

use anyhow::Result;
use insights_agent::status::Health;
use tauri::image::Image;
use tauri::menu::{CheckMenuItem, Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry};

use crate::model::{Icon, Item, TrayModel};
use crate::tray::TrayView;
use crate::window::Page;
use crate::window_process::WindowProcess;

/// Side of the pictures that build.rs draws, in pixels.
const SIDE: u32 = 32;

/// Includes a picture that build.rs has drawn.
macro_rules! picture {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".rgba"))
    };
}

fn picture(icon: Icon) -> Image<'static> {
    let rgba: &'static [u8] = match (icon.health, icon.shared) {
        (Health::Starting, false) => picture!("starting"),
        (Health::Starting, true) => picture!("starting-shared"),
        (Health::Delivering, false) => picture!("delivering"),
        (Health::Delivering, true) => picture!("delivering-shared"),
        (Health::Buffering, false) => picture!("buffering"),
        (Health::Buffering, true) => picture!("buffering-shared"),
        (Health::Attention, false) => picture!("attention"),
        (Health::Attention, true) => picture!("attention-shared"),
        (Health::Paused, false) => picture!("paused"),
        (Health::Paused, true) => picture!("paused-shared"),
    };
    Image::new(rgba, SIDE, SIDE)
}

/// The icon and its menu, created at the first [`TrayView::show`]. Tauri runs each call on the main
/// thread.
pub(crate) struct TauriTray {
    app: AppHandle,
    shown: Option<Shown>,
    window: WindowProcess,
}

/// What is on the screen.
struct Shown {
    icon: TrayIcon,
    model: TrayModel,
    lines: Vec<Line>,
}

/// A line of the menu on the screen.
enum Line {
    Text(MenuItem<Wry>),
    Check(CheckMenuItem<Wry>),
    Separator(PredefinedMenuItem<Wry>),
}

impl TauriTray {
    pub(crate) const fn new(app: AppHandle, window: WindowProcess) -> Self {
        Self { app, shown: None, window }
    }

    pub(crate) fn app(&self) -> AppHandle {
        self.app.clone()
    }

    /// Creates icon and menu.
    fn create(&self, model: &TrayModel) -> Result<Shown> {
        let app = &self.app;
        let menu = Menu::new(app)?;
        let mut lines = Vec::new();
        for item in &model.menu {
            lines.push(match item {
                Item::Text { id, text } => Line::Text(MenuItem::with_id(app, *id, text, false, None::<&str>)?),
                Item::Button { action, text, enabled } => {
                    Line::Text(MenuItem::with_id(app, action.id(), text, *enabled, None::<&str>)?)
                }
                Item::Check { action, text, checked, enabled } => {
                    let check = CheckMenuItem::with_id(app, action.id(), text, *enabled, *checked, None::<&str>)?;
                    Line::Check(check)
                }
                Item::Separator => Line::Separator(PredefinedMenuItem::separator(app)?),
            });
            match lines.last() {
                Some(Line::Text(line)) => menu.append(line)?,
                Some(Line::Check(line)) => menu.append(line)?,
                Some(Line::Separator(line)) => menu.append(line)?,
                None => {}
            }
        }
        let icon = TrayIconBuilder::with_id("insights")
            .icon(picture(model.icon))
            .tooltip(&model.tooltip)
            .title("Insights Agent")
            .menu(&menu)
            .build(app)?;
        Ok(Shown { icon, model: model.clone(), lines })
    }
}

impl Shown {
    /// Changes what differs from the last model. Lines stay the same objects, so an open menu stays
    /// open.
    fn change(&mut self, model: &TrayModel) -> Result<()> {
        if self.model.icon != model.icon {
            self.icon.set_icon(Some(picture(model.icon)))?;
        }
        if self.model.tooltip != model.tooltip {
            self.icon.set_tooltip(Some(&model.tooltip))?;
        }
        for (line, item) in self.lines.iter().zip(&model.menu) {
            match (line, item) {
                (Line::Text(line), Item::Text { text, .. }) => line.set_text(text)?,
                (Line::Text(line), Item::Button { text, enabled, .. }) => {
                    line.set_text(text)?;
                    line.set_enabled(*enabled)?;
                }
                (Line::Check(line), Item::Check { checked, enabled, .. }) => {
                    line.set_checked(*checked)?;
                    line.set_enabled(*enabled)?;
                }
                _ => {}
            }
        }
        self.model = model.clone();
        Ok(())
    }
}

impl TrayView for TauriTray {
    fn show(&mut self, model: &TrayModel) {
        let done = match &mut self.shown {
            Some(shown) => shown.change(model),
            None => self.create(model).map(|shown| self.shown = Some(shown)),
        };
        if let Err(error) = done {
            tracing::error!("failed to draw the tray: {error:#}");
        }
    }

    fn open(&mut self, page: Page) {
        self.window.open(page);
    }
}
