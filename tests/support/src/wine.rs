//! Windows as Wine has it, with a real desktop around it: the programs for Windows run in it, the receivers beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::desktop::Desktop;
use crate::output;
use crate::program::text;

/// The registry and the session are the same for all tests of a program.
static TURN: Mutex<()> = Mutex::new(());

/// How programs for Windows are started.
#[derive(Debug, Clone)]
pub struct Launcher {
    environment: Vec<(String, String)>,
    /// The agent's console program.
    pub program: PathBuf,
}

impl Launcher {
    /// A command that runs a program for Windows. A path that begins with `/` means in it what it means outside.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("wine");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // On this drive.
        command.arg(program).current_dir("/").stdin(Stdio::null());
        command
    }
}

/// A session in it, with the registry of a new system. Dropping it ends every program in it.
#[derive(Debug)]
pub struct Wine {
    launcher: Launcher,
    prefix: PathBuf,
    desktop: Desktop,
    _turn: MutexGuard<'static, ()>,
}

impl Wine {
    /// Starts a session. None, said aloud, when the run leaves Wine out.
    ///
    /// # Panics
    /// When it is not left out, and the variables that `cargo xtask test` sets are missing.
    #[must_use]
    pub fn start() -> Option<Self> {
        if std::env::var_os("INSIGHTS_SKIP_WINE").is_some() {
            eprintln!("left out, because INSIGHTS_SKIP_WINE is set");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `cargo xtask windows-test` sets it"))
        };
        let prefix = PathBuf::from(named("WINEPREFIX"));
        end(&prefix);
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
        Some(Self { launcher, prefix, desktop, _turn: turn })
    }

    /// How programs are started in it.
    #[must_use]
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// The desktop around it.
    #[must_use]
    pub fn desktop(&self) -> &Desktop {
        &self.desktop
    }

    /// Runs one of Windows' own programs.
    #[must_use]
    pub fn run(&self, program: &str, words: &[&str]) -> Output {
        output(self.launcher.command(Path::new(program)).args(words))
    }

    /// Runs one that must succeed; returns what it printed.
    #[must_use]
    pub fn ok(&self, program: &str, words: &[&str]) -> String {
        let output = self.run(program, words);
        assert!(output.status.success(), "{program} {words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// A file of drive C.
    #[must_use]
    pub fn drive_c(&self, path: &str) -> PathBuf {
        self.prefix.join("drive_c").join(path)
    }

    /// The home of the user.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let user = fs::read_dir(self.drive_c("users")).expect("users").filter_map(Result::ok).map(|entry| entry.path());
        user.into_iter().find(|path| !path.ends_with("Public")).expect("a user")
    }

    /// A key of the registry with all that is below it, as text; empty if it is not there.
    #[must_use]
    pub fn key(&self, path: &str) -> String {
        let output = self.run("reg", &["query", path, "/s"]);
        if output.status.success() { text(&output.stdout) } else { String::new() }
    }

    /// Sets a value of text.
    pub fn set(&self, key: &str, name: &str, value: &str) {
        let _ = self.ok("reg", &["add", key, "/v", name, "/t", "REG_SZ", "/d", value, "/f"]);
    }

    /// Removes a key with all that is below it, if it is there.
    pub fn forget(&self, key: &str) {
        let _ = self.run("reg", &["delete", key, "/f"]);
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        end(&self.prefix);
    }
}

/// Ends every program, and waits until the registry is written. No panic: a test that fails gets here, too.
fn end(prefix: &Path) {
    for word in ["-k", "-w"] {
        let mut command = Command::new("timeout");
        let _ = command.args(["20", "wineserver", word]).env("WINEPREFIX", prefix).stderr(Stdio::null()).status();
    }
}
