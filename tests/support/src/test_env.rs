//! A test environment: folders of its own for the built agent, and the commands that run the agent
//! in them.
//!
//! **Isolation.** The agent shares nothing with the machine: no settings, policy, home folder,
//! session bus, system bus, display or leader lock, and no variable of the developer's shell
//! ([`isolate`]). Its receiver listens on free ports, and without `collector.endpoint` it sends to
//! a port at which nobody listens.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::isolation::isolate;
use crate::wait_for;

/// Folders for one agent: an io.Connect user data folder, the agent's data folder, and a home.
#[derive(Debug)]
pub struct TestEnv {
    dir: TempDir,
    settings: Vec<String>,
    /// Starts the programs for Windows, if those are tested.
    #[cfg(target_os = "linux")]
    wine: Option<crate::wine::Launcher>,
}

/// A running agent. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running(Child);

/// Returns the built agent: `INSIGHTS_AGENT_BIN`, or the program beside this test.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("INSIGHTS_AGENT_BIN").map_or_else(|| built("insights-agent"), PathBuf::from)
}

/// Returns the built tray program: `INSIGHTS_TRAY_BIN`, or the program beside this test.
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
    /// Creates empty folders. The agent samples and exports every second.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["UserData/DEMO-INTEROP.IO/logs/applications", "run"] {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        let user_data = Value::from(vec![dir.path().join("UserData").display().to_string()]);
        let settings = vec![
            format!("connect.user_data={user_data}"),
            "host.export_interval=1s".to_owned(),
            "host.sample_interval=500ms".to_owned(),
            "host.one_per_machine=false".to_owned(),
            "processes.sample_interval=500ms".to_owned(),
            "logs.flush_interval=100ms".to_owned(),
            // Nobody listens there; a test that needs a collector sets another one.
            "collector.endpoint=http://127.0.0.1:1".to_owned(),
            // Tests run in parallel, beside collectors and agents at the usual ports.
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

    /// Creates folders for the programs for Windows, which run under Wine.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn on(wine: &crate::wine::Wine) -> Self {
        Self { wine: Some(wine.launcher().clone()), ..Self::new() }
    }

    /// Records that the user has answered the first question, so that the tray program does not ask
    /// it.
    pub fn answer_first_question(&self) {
        fs::create_dir_all(self.data()).expect("a data folder");
        fs::write(self.data().join("consent.json"), r#"{"asked":true}"#).expect("a consent record");
    }

    /// Adds a setting in the syntax of `--set`. A later one for the same key wins.
    pub fn set(&mut self, setting: impl Into<String>) {
        self.settings.push(setting.into());
    }

    /// Removes a setting, so that a settings file or a variable can provide it.
    pub fn unset(&mut self, key: &str) {
        self.settings.retain(|setting| !setting.starts_with(&format!("{key}=")));
    }

    /// Returns the folder that contains everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the agent's data folder, which does not exist before an agent creates it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Returns the user's settings file, which does not exist at first.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.dir.path().join("config/insights-agent/config.json")
    }

    /// Returns the path of a file in the platform's log folder.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("UserData/DEMO-INTEROP.IO/logs").join(name)
    }

    /// Appends to a log file.
    pub fn write(&self, name: &str, text: &str) {
        append(&self.log(name), text);
    }

    /// Returns a command of the agent in this environment.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        #[cfg(target_os = "linux")]
        if let Some(wine) = &self.wine {
            return self.with_arguments(wine.command(&wine.program), words);
        }
        self.command_of(&program(), words)
    }

    /// Returns a command of another program that takes the agent's options, in this environment.
    #[must_use]
    pub fn command_of(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = self.with_arguments(Command::new(program), words);
        let folder = |name: &str| self.dir.path().join(name);
        isolate(&mut command);
        command.env("HOME", self.dir.path());
        command.env("XDG_CONFIG_HOME", folder("config"));
        command.env("XDG_DATA_HOME", folder("share"));
        command.env("XDG_RUNTIME_DIR", folder("run"));
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", folder("run/no-system-bus").display()));
        command.env("INSIGHTS_POLICY_FILE", folder("policy.json"));
        command.env("INSIGHTS_LEADER_LOCK_FOLDER", self.dir.path());
        command
    }

    fn with_arguments(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(words).arg("--data-dir").arg(self.data());
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command of the agent until it exits.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        crate::output(&mut self.command(words))
    }

    /// Runs a command of the agent that must succeed; returns what it printed.
    #[must_use]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts the agent. Its standard error goes to `agent.log` beside its data.
    #[must_use]
    pub fn start(&self) -> Running {
        self.start_as(self.command(&["run"]))
    }

    /// Starts the agent with a command that was derived from [`TestEnv::command`].
    #[must_use]
    pub fn start_as(&self, mut command: Command) -> Running {
        let mut log = OpenOptions::new().create(true).append(true).open(self.agent_log_file()).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the agent starts");
        // Copied here and not written by the agent: limits on the agent's files must not apply to
        // this one.
        let mut stderr = child.stderr.take().expect("its standard error");
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut log));
        Running(child)
    }

    /// Starts the agent with a limit on the size of its files, in blocks of 512 bytes, until
    /// [`Running::lift_file_limit`]. Writes beyond the limit fail at any byte, as on a full disk.
    #[must_use]
    pub fn start_with_file_limit(&self, blocks: u32) -> Running {
        // SIGXFSZ would end the program; while it is ignored, the write returns an error.
        let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = wrapped(&self.command(&["run"]), &["sh", "-c", &script]);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(shell.spawn().expect("the agent starts"))
    }

    /// Keeps the folder when this is dropped; returns it.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Returns the standard error of all agents that [`TestEnv::start`] started here.
    #[must_use]
    pub fn agent_log(&self) -> String {
        fs::read_to_string(self.agent_log_file()).unwrap_or_default()
    }

    fn agent_log_file(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// Waits until the agent answers, and returns its status.
    #[must_use]
    pub fn status(&self) -> Value {
        wait_for("the agent's status", || {
            let output = self.run(&["status", "--json"]);
            output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
        })
    }

    /// Waits until the agent's status meets a condition, and returns it.
    pub fn wait_for_status(&self, what: &str, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = crate::wait(|| {
            last = self.status();
            Some(last.clone()).filter(&mut is_wanted)
        });
        found.unwrap_or_else(|| panic!("timed out waiting for {what}; the status is {last}"))
    }
}

/// Returns a command that runs another one, with its arguments and environment, through a launcher.
/// The launcher gets the program and its arguments after its own words.
#[must_use]
pub fn wrapped(inner: &Command, launcher: &[&str]) -> Command {
    let (program, words) = launcher.split_first().expect("a launcher");
    let mut command = Command::new(program);
    command.args(words).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Appends to a file.
pub fn append(path: &Path, text: &str) {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path).expect("a log file");
    file.write_all(text.as_bytes()).expect("space on the disk");
}

/// Returns output as text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Running {
    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Lifts the limit on file sizes of an agent that was started with one.
    pub fn lift_file_limit(&self) {
        let lift = ["--pid", &self.id().to_string(), "--fsize=unlimited"];
        assert!(Command::new("prlimit").args(lift).status().expect("prlimit").success());
    }

    /// Returns the exit status, if the process has exited.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("its state")
    }

    /// Waits until the process exits.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        wait_for("the agent to exit", || self.exited())
    }

    /// Kills it (SIGKILL).
    pub fn kill(mut self) {
        self.0.kill().expect("a process to kill");
        self.0.wait().expect("its exit status");
    }

    /// Asks it to shut down (SIGTERM), and waits until it has; returns whether it exited with
    /// success.
    #[must_use]
    pub fn stop(self) -> bool {
        self.terminate().success()
    }

    /// Asks it to shut down (SIGTERM), and waits until it has; returns the exit status.
    #[must_use]
    pub fn terminate(mut self) -> ExitStatus {
        let asked = Command::new("kill").arg(self.id().to_string()).status().expect("kill");
        assert!(asked.success(), "the agent had exited already");
        wait_for("the agent to exit", || self.exited())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
