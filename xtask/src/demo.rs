//! `cargo xtask run`: starts the agent, and a small collector that prints what arrives.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::step::{command, program, root, run as run_command, step};
use crate::{licences, machine};

/// Set by Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Interval of the sample log lines.
const LINE_INTERVAL: Duration = Duration::from_millis(700);
/// How often the end is checked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Builds and starts everything. Ends on Ctrl-C, or after `seconds`.
pub(crate) fn run(seconds: Option<u64>) -> Result<()> {
    let display = cfg!(windows) || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let mut packages = vec!["cargo", "build", "--quiet", "--package", "insights-agent"];
    if display {
        if cfg!(target_os = "linux") {
            machine::webview()?;
        }
        licences::write()?;
        packages.extend(["--package", "insights-tray"]);
    }
    step("Build the agent", || run_command(&mut command(&packages)))?;
    let program = program("debug");
    let tray = program.with_file_name(format!("insights-tray{}", std::env::consts::EXE_SUFFIX));
    let folder = root().join("target/demo");
    let data = folder.join("data");
    let agent = |words: &[&str]| {
        let mut command = in_own_group(&program);
        command.args(words).arg("--data-dir").arg(&data);
        command
    };

    let own = agent(&["logs", "folders", "--json"]).output()?.stdout;
    let has_own = !matches!(own.trim_ascii(), b"" | b"[]");
    let sample = folder.join("UserData");
    let (grpc, http) = (free_port()?, free_port()?);
    let mut settings = vec![
        format!("collector.endpoint=http://127.0.0.1:{grpc}"),
        "host.export_interval=10s".to_owned(),
        "host.sample_interval=2s".to_owned(),
        "processes.sample_interval=5s".to_owned(),
    ];
    println!();
    println!("The agent runs, and a small collector on this machine prints what arrives. Ctrl-C stops both.");
    if has_own {
        println!("Found the log folders of io.Connect. Its logs stay private unless you share them:");
        println!("  {} logs share on --data-dir {}", program.display(), data.display());
    } else {
        println!("io.Connect is not installed here, so sample logs are written to {}.", sample.display());
        fs::create_dir_all(logs(&sample).join("applications"))?;
        settings.push(format!("connect.user_data={}", serde_json::json!([sample])));
        run_command(&mut agent(&["logs", "share", "on"]))?;
    }
    println!("To see the status: {} status --data-dir {}", program.display(), data.display());
    println!();

    let mut collector = in_own_group(&program);
    collector.args(["collector", "--grpc", &format!("127.0.0.1:{grpc}"), "--http", &format!("127.0.0.1:{http}")]);
    let mut collector = Running(collector.spawn().context("failed to start the collector")?);
    // With a display the agent runs in the system tray.
    let mut command = if display { in_own_group(&tray) } else { agent(&["run"]) };
    if display {
        command.arg("--data-dir").arg(&data);
    }
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut agent = Running(command.spawn().context("failed to start the agent")?);

    listen_for_ctrl_c()?;
    let (stop, stopped) = channel::<()>();
    let writer = (!has_own).then(|| {
        std::thread::spawn(move || {
            let mut number = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LINE_INTERVAL) {
                number += 1;
                if let Err(error) = write_some(&sample, number) {
                    eprintln!("failed to write the sample log: {error}");
                    return;
                }
            }
        })
    });
    let until = seconds.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
    while !INTERRUPTED.load(Ordering::Relaxed) && until.is_none_or(|until| SystemTime::now() < until) {
        if let Some(status) = agent.0.try_wait()? {
            anyhow::bail!("the agent stopped: {status}");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    drop(stop);
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    agent.end();
    collector.end();
    Ok(())
}

/// A child process that is stopped together with this program.
struct Running(Child);

impl Running {
    /// Stops the process as a logoff would, and waits for it.
    fn end(&mut self) {
        #[cfg(unix)]
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        #[cfg(windows)]
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Returns a command in a process group of its own. Ctrl-C does not reach it: this program stops
/// the agent first and the collector after it, so that the last data arrives.
fn in_own_group(program: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

fn listen_for_ctrl_c() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("failed to handle Ctrl-C")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn logs(user_data: &Path) -> PathBuf {
    user_data.join("DEMO-INTEROP.IO/logs")
}

/// Writes a few lines as io.Connect's logger does, sometimes an error with a stack trace.
fn write_some(user_data: &Path, number: u64) -> Result<()> {
    let mut platform = append(&logs(user_data).join("application.log"))?;
    let mut app = append(&logs(user_data).join("applications/clientlist.log"))?;
    let now = now();
    match number % 5 {
        0 => {
            writeln!(
                platform,
                "[{now}] [ERROR] default - layout {number} could not be restored Error: no such window"
            )?;
            writeln!(platform, "    at LayoutManager.restore (layouts.js:114:21)\n    at async start (main.js:42:7)")?;
        }
        1 => writeln!(platform, "[{now}] [DEBUG] glue-logger - gateway has {} connections", number % 7)?,
        _ => writeln!(platform, "[{now}] [INFO] default - application clientlist, step {number}")?,
    }
    let level = if number.is_multiple_of(4) { "WARN" } else { "INFO" };
    writeln!(
        app,
        "[{now}] [{level}] [9816_10] clientlist.main - {} clients in {} ms",
        number * 3 % 50,
        number * 37 % 900
    )?;
    Ok(())
}

fn append(file: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(file)?)
}

/// Returns the local time to the millisecond, as log4js writes it.
fn now() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
