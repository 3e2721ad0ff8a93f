//! Wine with a desktop: the programs for Windows run in it, the receivers run beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::desktop::Desktop;
use crate::isolation::isolate;
use crate::output;
use crate::test_env::text;

/// Name of the lock file in the Wine prefix. All tests share the registry and the session of the
/// prefix, so one test at a time uses it: among threads, processes and suites.
const LOCK: &str = "insights-tests.lock";

/// Starts programs for Windows.
#[derive(Debug, Clone)]
pub struct Launcher {
    environment: Vec<(String, String)>,
    /// The agent's console program.
    pub program: PathBuf,
}

impl Launcher {
    /// Returns a command that runs a program for Windows. A path that starts with `/` means the
    /// same inside and outside.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("wine");
        isolate(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // The drive of these paths.
        command.arg(program).current_dir("/").stdin(Stdio::null());
        command
    }
}

/// A Wine session with the registry of a new system. All its programs are killed when this is
/// dropped.
#[derive(Debug)]
pub struct Wine {
    launcher: Launcher,
    prefix: PathBuf,
    desktop: Desktop,
    /// Released when this is dropped.
    _lock: fs::File,
}

impl Wine {
    /// Starts a session. Returns none, and prints that, when `INSIGHTS_SKIP_WINE` is set.
    ///
    /// # Panics
    /// When Wine is not skipped, and the variables that `cargo xtask test` sets are missing.
    #[must_use]
    pub fn start() -> Option<Self> {
        if std::env::var_os("INSIGHTS_SKIP_WINE").is_some() {
            eprintln!("skipped, because INSIGHTS_SKIP_WINE is set");
            return None;
        }
        let named = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `cargo xtask windows-test` sets it"))
        };
        let prefix = PathBuf::from(named("WINEPREFIX"));
        let lock = fs::File::create(prefix.join(LOCK)).expect("a lock file");
        lock.lock().expect("the lock of the prefix");
        kill_all(&prefix);
        for hive in fs::read_dir(prefix.join("fresh")).expect("a fresh registry").filter_map(Result::ok) {
            fs::copy(hive.path(), prefix.join(hive.file_name())).expect("the registry is restored");
        }
        let program = PathBuf::from(named("INSIGHTS_WINDOWS_PROGRAMS")).join("insights-agent.exe");
        let desktop = Desktop::start();
        let mut environment = desktop.environment();
        for name in ["WINEPREFIX", "WINEDEBUG", "WINEDLLOVERRIDES"] {
            environment.push((name.to_owned(), named(name)));
        }
        let launcher = Launcher { environment, program };
        Some(Self { launcher, prefix, desktop, _lock: lock })
    }

    /// Returns what starts programs in it.
    #[must_use]
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Returns the desktop that shows its windows.
    #[must_use]
    pub fn desktop(&self) -> &Desktop {
        &self.desktop
    }

    /// Runs a program of Windows.
    #[must_use]
    pub fn run(&self, program: &str, words: &[&str]) -> Output {
        output(self.launcher.command(Path::new(program)).args(words))
    }

    /// Runs a program of Windows that must succeed; returns what it printed.
    #[must_use]
    pub fn ok(&self, program: &str, words: &[&str]) -> String {
        let output = self.run(program, words);
        assert!(output.status.success(), "{program} {words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Returns the path of a file on drive C.
    #[must_use]
    pub fn drive_c(&self, path: &str) -> PathBuf {
        self.prefix.join("drive_c").join(path)
    }

    /// Returns the home folder of the user.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let user = fs::read_dir(self.drive_c("users")).expect("users").filter_map(Result::ok).map(|entry| entry.path());
        user.into_iter().find(|path| !path.ends_with("Public")).expect("a user")
    }

    /// Returns a registry key with everything below it, as text. Returns an empty text if it does
    /// not exist.
    #[must_use]
    pub fn key(&self, path: &str) -> String {
        let output = self.run("reg", &["query", path, "/s"]);
        if output.status.success() { text(&output.stdout) } else { String::new() }
    }

    /// Sets a text value of a registry key.
    pub fn set(&self, key: &str, name: &str, value: &str) {
        let _ = self.ok("reg", &["add", key, "/v", name, "/t", "REG_SZ", "/d", value, "/f"]);
    }

    /// Deletes a registry key with everything below it, if it exists.
    pub fn delete_key(&self, key: &str) {
        let _ = self.run("reg", &["delete", key, "/f"]);
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        kill_all(&self.prefix);
    }
}

/// Kills every program of the prefix, and waits until the registry is written. Does not panic,
/// because failing tests also get here.
fn kill_all(prefix: &Path) {
    for word in ["-k", "-w"] {
        let mut command = Command::new("timeout");
        let _ = command.args(["20", "wineserver", word]).env("WINEPREFIX", prefix).stderr(Stdio::null()).status();
    }
}
