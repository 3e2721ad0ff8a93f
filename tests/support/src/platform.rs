//! A process tree that looks like that of io.Connect Desktop.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The platform, with a renderer and a native app below it. All are killed when this is dropped.
#[derive(Debug)]
pub struct Platform {
    main: Child,
    /// Process id of the native app, whose program is `blotter`.
    pub native: u32,
}

impl Platform {
    /// Starts the platform. Its programs are created in `folder`; the main program is called
    /// `name`.
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

    /// Returns the id of the main process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.main.id()
    }
}

fn shell(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let program = folder.join(name);
    // Another process copies it: if this process had the file open for writing while another thread
    // forks, the child would inherit the handle, and the program could not be started (ETXTBSY).
    let copied = crate::output(Command::new("cp").arg("/bin/bash").arg(&program));
    assert!(copied.status.success(), "{}", crate::test_env::text(&copied.stderr));
    program
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = Command::new("pkill").args(["-P", &self.main.id().to_string()]).status();
        let _ = self.main.kill();
        let _ = self.main.wait();
    }
}
