//! A process tree that looks like io.Connect's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The platform, with a renderer and a native app under it. All end when this is dropped.
#[derive(Debug)]
pub struct Platform {
    main: Child,
    /// Process of the native app, whose program is `blotter`.
    pub native: u32,
}

impl Platform {
    /// Starts it; its programs are made in a folder, the platform's under a name.
    #[must_use]
    pub fn start(folder: &Path, name: &str) -> Self {
        let (program, blotter) = (shell(folder, name), shell(&folder.join("apps"), "blotter"));
        let script = folder.join("main.js");
        let lines = format!(
            "{} -c 'read forever' --type=renderer <&0 &\n{} -c 'read forever; exit' <&0 &\necho $!\nwait\n",
            program.display(),
            blotter.display()
        );
        fs::write(&script, lines).expect("a script");
        let mut command = Command::new(&program);
        let mut main = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a platform");
        let mut line = String::new();
        BufReader::new(main.stdout.take().expect("its output")).read_line(&mut line).expect("a process id");
        Self { main, native: line.trim().parse().expect("a number") }
    }

    /// Its main process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.main.id()
    }
}

fn shell(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let program = folder.join(name);
    // By another process: a program that was open for writing here, while another test started one, is busy there.
    let copied = crate::output(Command::new("cp").arg("/bin/bash").arg(&program));
    assert!(copied.status.success(), "{}", crate::program::text(&copied.stderr));
    program
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = Command::new("pkill").args(["-P", &self.main.id().to_string()]).status();
        let _ = self.main.kill();
        let _ = self.main.wait();
    }
}
