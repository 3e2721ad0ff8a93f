//! A real desktop for tests: an X server, a session bus, a window manager, and a panel whose tray
//! shows icons.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::isolation::isolate;
use crate::wait_for;

/// Settings of the panel: a bar at the top that contains only the tray.
const PANEL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/><property name="size" type="uint" value="32"/>
      <property name="icon-size" type="uint" value="22"/><property name="position-locked" type="bool" value="true"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
"#;

/// The desktop. All its programs are killed when this is dropped.
#[derive(Debug)]
pub struct Desktop {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
    programs: Vec<Child>,
}

impl Desktop {
    /// Starts a desktop with a panel. The X server chooses a free display number.
    #[must_use]
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let runtime = home.path().join("run");
        let settings = home.path().join(".config/xfce4/xfconf/xfce-perchannel-xml");
        fs::create_dir_all(&settings).expect("a folder for settings");
        fs::create_dir_all(&runtime).expect("a folder for sockets");
        fs::write(settings.join("xfce4-panel.xml"), PANEL).expect("settings");
        let text = |path: &Path| path.display().to_string();
        let environment = vec![
            ("HOME", text(home.path())),
            ("XDG_RUNTIME_DIR", text(&runtime)),
            ("XDG_CURRENT_DESKTOP", "XFCE".to_owned()),
            ("NO_AT_BRIDGE", "1".to_owned()),
            ("GDK_BACKEND", "x11".to_owned()),
            ("LIBGL_ALWAYS_SOFTWARE", "1".to_owned()),
        ];
        let mut desktop = Self { home, environment, programs: Vec::new() };
        let screen = "-displayfd 1 -screen 0 1280x800x24 -nolisten tcp";
        let display = desktop.start_and_read("Xvfb", screen);
        desktop.environment.push(("DISPLAY", format!(":{display}")));
        let bus = desktop.start_and_read("dbus-daemon", "--session --nofork --print-address=1");
        desktop.environment.push(("DBUS_SESSION_BUS_ADDRESS", bus));
        desktop.start_program("openbox", "");
        desktop.start_program("xfce4-panel", "--disable-wm-check");
        desktop
    }

    /// Makes a command run on this desktop, and on no other one.
    pub fn apply(&self, command: &mut Command) {
        isolate(command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Returns the home folder of its user.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns its display as the value of `DISPLAY`.
    #[must_use]
    pub fn display(&self) -> String {
        let display = self.environment.iter().find(|(name, _)| *name == "DISPLAY");
        display.map(|(_, display)| display.clone()).unwrap_or_default()
    }

    /// Returns the address of its session bus.
    #[must_use]
    pub fn bus(&self) -> String {
        let bus = self.environment.iter().find(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS");
        bus.map(|(_, bus)| bus.clone()).unwrap_or_default()
    }

    /// Returns the variables that make a program run on this desktop.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// Saves a picture of the whole screen for people: `target/screenshots/NAME.png`.
    pub fn screenshot(&self, name: &str) {
        let folder = screenshots();
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let mut command = Command::new("scrot");
        self.apply(&mut command);
        let status = command.arg("-o").arg(folder.join(name).with_extension("png")).status();
        assert!(status.is_ok_and(|status| status.success()), "scrot takes a picture");
    }

    fn program(&self, program: &str, words: &str) -> Command {
        let mut command = Command::new(program);
        self.apply(&mut command);
        command.args(words.split_whitespace()).current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start_program(&mut self, program: &str, words: &str) {
        let child = self.program(program, words).spawn();
        self.programs.push(child.unwrap_or_else(|error| panic!("{program} is needed: {error}")));
    }

    fn start_and_read(&mut self, program: &str, words: &str) -> String {
        let child = self.program(program, words).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        self.programs.push(child);
        line.trim().to_owned()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            // It may have exited together with the X server.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// Returns the folder of pictures.
#[must_use]
pub fn screenshots() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let target = test.ancestors().find(|folder| folder.join("debug").is_dir()).expect("the target folder");
    target.join("screenshots")
}

/// The first icon in the tray, as the panel sees it: a `StatusNotifierItem` with a menu of
/// `com.canonical.dbusmenu`.
#[derive(Debug)]
pub struct TrayIcon<'a> {
    desktop: &'a Desktop,
    bus_name: String,
    path: String,
}

/// A line of the icon's menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuLine {
    /// Its number in the menu.
    pub id: u32,
    /// Its text.
    pub label: String,
    /// Whether it has a check mark.
    pub checked: bool,
    /// Whether it can be clicked.
    pub enabled: bool,
}

impl<'a> TrayIcon<'a> {
    /// Waits until the tray has an icon.
    #[must_use]
    pub fn wait(desktop: &'a Desktop) -> Self {
        let items = "org.kde.StatusNotifierWatcher RegisteredStatusNotifierItems";
        let (bus_name, path) = wait_for("an icon in the tray", || {
            let words = format!("org.freedesktop.DBus.Properties.Get {items}");
            let found = desktop.call("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", &words)?;
            let item = found.split('\'').nth(1)?;
            let (name, path) = item.split_once('/')?;
            Some((name.to_owned(), format!("/{path}")))
        });
        Self { desktop, bus_name, path }
    }

    /// Returns the file of its picture.
    #[must_use]
    pub fn picture(&self) -> String {
        let words = "org.freedesktop.DBus.Properties.Get org.kde.StatusNotifierItem IconName";
        let found = self.desktop.call(&self.bus_name, &self.path, words).unwrap_or_default();
        found.split('\'').nth(1).unwrap_or_default().to_owned()
    }

    /// Returns its menu.
    #[must_use]
    pub fn menu(&self) -> Vec<MenuLine> {
        let words = "com.canonical.dbusmenu.GetLayout -- 0 -1 []";
        let layout = self.desktop.call(&self.bus_name, &format!("{}/Menu", self.path), words).unwrap_or_default();
        layout.split("<(").skip(1).filter_map(menu_line).collect()
    }

    /// Waits for a line that starts with a text.
    #[must_use]
    pub fn line(&self, start: &str) -> MenuLine {
        wait_for(start, || self.menu().into_iter().find(|line| line.label.starts_with(start)))
    }

    /// Clicks the line that starts with a text.
    pub fn click(&self, start: &str) {
        let words = format!("com.canonical.dbusmenu.Event -- {} clicked <0> 0", self.line(start).id);
        assert!(self.desktop.call(&self.bus_name, &format!("{}/Menu", self.path), &words).is_some(), "{start}");
    }
}

impl Desktop {
    /// Calls a method over the session bus; returns the reply in the text format of `GVariant`.
    fn call(&self, name: &str, path: &str, words: &str) -> Option<String> {
        let mut command = self.program("gdbus", "call --session");
        command.args(["--dest", name, "--object-path", path, "--method"]).args(words.split(' '));
        let output = command.stdout(Stdio::piped()).output().expect("gdbus is needed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn menu_line(text: &str) -> Option<MenuLine> {
    let id = text.split(',').next()?.trim().parse().ok()?;
    let quoted = text.split_once("'label': <")?.1;
    let quote = quoted.chars().next()?;
    let label = quoted[1..].split(&format!("{quote}>")).next()?.replace('_', "");
    let checked = text.contains("'toggle-state': <1>");
    Some(MenuLine { id, label, checked, enabled: !text.contains("'enabled': <false>") })
}
