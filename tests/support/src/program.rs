//! The built program on a desk of its own.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::wait_for;

/// A folder with an io.Connect user data folder, and a data folder for the agent.
#[derive(Debug)]
pub struct TestEnv {
    dir: TempDir,
    settings: Vec<String>,
    /// Programs for Windows are used, through this.
    #[cfg(target_os = "linux")]
    wine: Option<crate::wine::Launcher>,
}

/// A running agent. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running(Child);

/// The built program: `INSIGHTS_AGENT_BIN`, else the one beside this test.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("INSIGHTS_AGENT_BIN").map_or_else(|| built("insights-agent"), PathBuf::from)
}

/// The built tray program: `INSIGHTS_TRAY_BIN`, else the one beside this test.
#[must_use]
pub fn tray_program() -> PathBuf {
    std::env::var_os("INSIGHTS_TRAY_BIN").map_or_else(|| built("insights-tray"), PathBuf::from)
}

fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().find(|folder| folder.join("deps").is_dir()).expect("the target folder");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is missing: `cargo build -p {name}` builds it", program.display());
    program
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// A desk on which nothing has happened yet. Its agent samples and exports every second.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("UserData/DEMO-INTEROP.IO/logs/applications")).expect("log folders");
        let user_data = Value::from(vec![dir.path().join("UserData").display().to_string()]);
        let settings = vec![
            format!("connect.user_data={user_data}"),
            "host.export_interval=1s".to_owned(),
            "host.sample_interval=500ms".to_owned(),
            "host.one_per_machine=false".to_owned(),
            "processes.sample_interval=500ms".to_owned(),
            "logs.flush_interval=100ms".to_owned(),
            // Tests run side by side, and some start collectors at the usual ports.
            "receiver.grpc_port=0".to_owned(),
            "receiver.http_port=0".to_owned(),
        ];
        Self {
            dir,
            settings,
            #[cfg(target_os = "linux")]
            wine: None,
        }
    }

    /// A desk on Windows, as far as Wine is that.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn on(wine: &crate::wine::Wine) -> Self {
        Self { wine: Some(wine.launcher().clone()), ..Self::new() }
    }

    /// Makes it a desk whose user has answered the first question.
    pub fn asked(&self) {
        fs::create_dir_all(self.data()).expect("a data folder");
        fs::write(self.data().join("consent.json"), r#"{"asked":true}"#).expect("a consent record");
    }

    /// Adds a setting, as `--set` takes it.
    pub fn set(&mut self, setting: impl Into<String>) {
        self.settings.push(setting.into());
    }

    /// The agent's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file in the folder of the platform's logs.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("UserData/DEMO-INTEROP.IO/logs").join(name)
    }

    /// Appends to a log file.
    pub fn write(&self, name: &str, text: &str) {
        append(&self.log(name), text);
    }

    /// A command of the program on this desk.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        #[cfg(target_os = "linux")]
        if let Some(wine) = &self.wine {
            return self.prepared(wine.command(&wine.program), words);
        }
        self.command_of(&program(), words)
    }

    /// A command of a program on this desk.
    #[must_use]
    pub fn command_of(&self, program: &Path, words: &[&str]) -> Command {
        self.prepared(Command::new(program), words)
    }

    fn prepared(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(words).arg("--data-dir").arg(self.data());
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        // The user's own settings must not change what is tested.
        command.env("XDG_CONFIG_HOME", self.dir.path().join("config"));
        command.stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        crate::output(&mut self.command(words))
    }

    /// Runs a command that must succeed; returns what it printed.
    #[must_use]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts the agent; what it says goes to `agent.log` beside its data.
    #[must_use]
    pub fn start(&self) -> Running {
        self.start_as(self.command(&["run"]))
    }

    /// Starts the agent by a command that was made of [`TestEnv::command`].
    #[must_use]
    pub fn start_as(&self, mut command: Command) -> Running {
        let mut log = OpenOptions::new().create(true).append(true).open(self.said_file()).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the agent starts");
        // Not written by the agent itself: what is done to its files must not be done to this one.
        let mut said = child.stderr.take().expect("its messages");
        std::thread::spawn(move || std::io::copy(&mut said, &mut log));
        Running(child)
    }

    /// Starts the agent on a disk on which no file can become larger than so many blocks of 512 bytes, until
    /// [`Running::lift_file_limit`]: what it writes beyond fails, at any byte, as on a full disk.
    #[must_use]
    pub fn start_with_file_limit(&self, blocks: u32) -> Running {
        let agent = self.command(&["run"]);
        let mut shell = Command::new("sh");
        // The signal would end the program; ignored, the write returns an error.
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"")]);
        shell.arg(agent.get_program()).args(agent.get_args());
        for (name, value) in agent.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Running(
            shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the agent starts"),
        )
    }

    /// Leaves its folder behind when it is dropped; returns the folder.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// The folder of everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// What agents on this desk have said.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.said_file()).unwrap_or_default()
    }

    fn said_file(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// The agent's status, once it answers.
    #[must_use]
    pub fn status(&self) -> Value {
        wait_for("the agent's status", || {
            let output = self.run(&["status", "--json"]);
            output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
        })
    }

    /// Waits until the agent's status is as wanted, and returns it.
    pub fn wait_for_status(&self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = crate::wait(|| {
            last = self.status();
            Some(last.clone()).filter(&mut wanted)
        });
        found.unwrap_or_else(|| panic!("waited in vain for {what}; the status is {last}"))
    }
}

/// Appends to a file.
pub fn append(path: &Path, text: &str) {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path).expect("a log file");
    file.write_all(text.as_bytes()).expect("room on the disk");
}

/// Output as text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Running {
    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Makes room on the disk of an agent that was started with a limit.
    pub fn lift_file_limit(&self) {
        let lift = ["--pid", &self.id().to_string(), "--fsize=unlimited"];
        assert!(Command::new("prlimit").args(lift).status().expect("prlimit").success());
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("its state")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        crate::wait_for("its end", || self.ended())
    }

    /// Ends it without any warning (SIGKILL).
    pub fn kill(mut self) {
        self.0.kill().expect("a process to kill");
        self.0.wait().expect("its end");
    }

    /// Asks it to end (SIGTERM), and waits until it has; returns whether it ended well.
    #[must_use]
    pub fn stop(self) -> bool {
        self.end().success()
    }

    /// The same; returns how it ended.
    #[must_use]
    pub fn end(mut self) -> ExitStatus {
        let asked = Command::new("kill").arg(self.id().to_string()).status().expect("kill");
        assert!(asked.success(), "the agent had ended already");
        crate::wait_for("its end", || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
