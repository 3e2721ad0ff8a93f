//! `cargo xtask run`: the agent at work, with a small collector beside it that prints what arrives.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::machine;
use crate::step::{command, program, root, run as run_command, step};

/// Set by Ctrl-C.
static ENDED: AtomicBool = AtomicBool::new(false);
/// How often the sample writer writes.
const PACE: Duration = Duration::from_millis(700);
/// How often it is looked whether somebody wants to end.
const LOOK: Duration = Duration::from_millis(100);

/// Builds and starts everything; ends with Ctrl-C, or after so many seconds.
pub(crate) fn run(seconds: Option<u64>) -> Result<()> {
    let display = cfg!(windows) || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let mut packages = vec!["cargo", "build", "--quiet", "--package", "insights-agent"];
    if display {
        if cfg!(target_os = "linux") {
            machine::webview()?;
        }
        packages.extend(["--package", "insights-tray"]);
    }
    step("Build the agent", || run_command(&mut command(&packages)))?;
    let program = program("debug");
    let tray = program.with_file_name(format!("insights-tray{}", std::env::consts::EXE_SUFFIX));
    let folder = root().join("target/demo");
    let data = folder.join("data");
    let agent = |words: &[&str]| {
        let mut command = apart(&program);
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
    println!("The agent collects; a small collector on this machine prints what arrives. Ctrl-C ends both.");
    if has_own {
        println!("io.Connect's log folders were found. Its logs stay private unless you share them:");
        println!("  {} logs share on --data-dir {}", program.display(), data.display());
    } else {
        println!("No io.Connect was found here, so a sample of its logs is written to {}.", sample.display());
        fs::create_dir_all(logs(&sample).join("applications"))?;
        settings.push(format!("connect.user_data={}", serde_json::json!([sample])));
        run_command(&mut agent(&["logs", "share", "on"]))?;
    }
    println!("To ask the agent: {} status --data-dir {}", program.display(), data.display());
    println!();

    let mut collector = apart(&program);
    collector.args(["collector", "--grpc", &format!("127.0.0.1:{grpc}"), "--http", &format!("127.0.0.1:{http}")]);
    let mut collector = Running(collector.spawn().context("the collector does not start")?);
    // With a display the agent sits in the system tray.
    let mut command = if display { apart(&tray) } else { agent(&["run"]) };
    if display {
        command.arg("--data-dir").arg(&data);
    }
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut agent = Running(command.spawn().context("the agent does not start")?);

    listen_for_ctrl_c()?;
    let (stop, stopped) = channel::<()>();
    let writer = (!has_own).then(|| {
        std::thread::spawn(move || {
            let mut number = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PACE) {
                number += 1;
                if let Err(error) = write_some(&sample, number) {
                    eprintln!("the sample cannot be written: {error}");
                    return;
                }
            }
        })
    });
    let until = seconds.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
    while !ENDED.load(Ordering::Relaxed) && until.is_none_or(|until| SystemTime::now() < until) {
        if let Some(status) = agent.0.try_wait()? {
            anyhow::bail!("the agent ended with {status}");
        }
        std::thread::sleep(LOOK);
    }
    drop(stop);
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    agent.end();
    collector.end();
    Ok(())
}

/// A child that ends with us.
struct Running(Child);

impl Running {
    /// Asks it to end as a logoff would, and waits.
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

/// A program that Ctrl-C does not reach: it is ended by us, in order, so that the agent's last data still arrives.
fn apart(program: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

fn listen_for_ctrl_c() -> Result<()> {
    ctrlc::set_handler(|| ENDED.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be listened for")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn logs(user_data: &Path) -> PathBuf {
    user_data.join("DEMO-INTEROP.IO/logs")
}

/// A few lines as io.Connect's logger writes them, now and then an error with its stack.
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

/// Local time to the millisecond, as log4js writes it.
fn now() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
