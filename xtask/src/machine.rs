//! What has to be on the machine: installed where it is missing. Only Debian and Ubuntu are served; on Windows nothing
//! but Rust is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::{command, root, run, step};

/// What Python's standard library lacks for the independent decoder, and the SDK that apps send with.
/// Those of one release: the exporter of JSON wants the others as they were with it.
const PYTHON_PACKAGES: [&str; 5] = [
    "opentelemetry-proto==1.45.1",
    "grpcio",
    "opentelemetry-sdk==1.45.1",
    "opentelemetry-exporter-otlp==1.45.1",
    "opentelemetry-exporter-otlp-json-http==0.66b1",
];

/// Version of axe-core.
const AXE_VERSION: &str = "4.11.0";

/// Where things that are made once are kept: outside the tree.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("insights-agent-build").join(name))
}

/// Installs what is missing of the Debian packages, each of which is named behind a program that it has.
fn packages(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn install(packages: &[&str]) -> Result<()> {
    if !has("apt-get") {
        bail!("these are missing and can be installed here only by hand: {}", packages.join(", "));
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
    let output = Command::new("id").arg("-u").output().context("`id` could not be started")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// libfaketime, by which the agent sees a clock that is changed.
pub(crate) fn faketime() -> Result<()> {
    packages(&[("faketime", "faketime")])
}

/// What Tauri is built with on Linux.
pub(crate) fn webview() -> Result<()> {
    let libraries = [
        ("webkit2gtk-4.1", "libwebkit2gtk-4.1-dev"),
        ("ayatana-appindicator3-0.1", "libayatana-appindicator3-dev"),
        ("librsvg-2.0", "librsvg2-dev"),
    ];
    packages(&[("pkg-config", "pkg-config")])?;
    let there =
        |library: &str| Command::new("pkg-config").args(["--exists", library]).status().is_ok_and(|s| s.success());
    let missing: Vec<&str> =
        libraries.iter().filter(|(library, _)| !there(library)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// A desktop with a tray, for the tests that look at one.
pub(crate) fn desktop() -> Result<()> {
    let icons = Path::new("/usr/share/icons/Adwaita/index.theme").exists();
    if !icons {
        install(&["adwaita-icon-theme"])?;
    }
    packages(&[
        ("Xvfb", "xvfb"),
        ("dbus-daemon", "dbus"),
        ("openbox", "openbox"),
        ("xfce4-panel", "xfce4-panel"),
        ("gdbus", "libglib2.0-bin"),
        ("scrot", "scrot"),
        ("WebKitWebDriver", "webkit2gtk-driver"),
    ])
}

/// The Rust standard library for Windows, and the environment that uses it.
pub(crate) fn windows_std() -> Result<Vec<(&'static str, String)>> {
    packages(&[
        ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix"),
        ("x86_64-w64-mingw32-g++", "g++-mingw-w64-x86-64-posix"),
    ])?;
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

/// Wine with a prefix of its own, as the environment that uses it.
pub(crate) fn wine() -> Result<Vec<(&'static str, String)>> {
    packages(&[("wine", "wine"), ("wineserver", "wine64"), ("Xvfb", "xvfb"), ("xauth", "xauth"), ("scrot", "scrot")])?;
    let prefix = cache("wine-prefix")?;
    let environment = vec![
        ("WINEPREFIX", prefix.display().to_string()),
        ("WINEDEBUG", "-all".to_owned()),
        // Otherwise it asks whether to fetch .NET and a browser.
        ("WINEDLLOVERRIDES", "mscoree=d;mshtml=d".to_owned()),
    ];
    let quiet = |words: &[&str]| {
        let mut command = command(words);
        command.envs(environment.clone()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let fresh = prefix.join("fresh");
    if !fresh.exists() {
        step("Make a Windows of Wine's", || {
            std::fs::create_dir_all(&prefix)?;
            run(&mut quiet(&["wineboot", "-i"]))?;
            run(&mut quiet(&["wineserver", "-w"]))?;
            let library = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
            if !library.exists() {
                let compile =
                    ["x86_64-w64-mingw32-gcc", "-O2", "-s", "-shared", "xtask/tools/bcryptprimitives.c", "-o"];
                run(command(&compile).arg(&library).arg("-ladvapi32"))?;
            }
            // The tests begin with this registry.
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

/// The package manager of Debian, for one who is not its administrator.
pub(crate) fn package_manager() -> Result<()> {
    packages(&[("dpkg-deb", "dpkg"), ("fakeroot", "fakeroot")])
}

/// What the installer is made with.
pub(crate) fn installer() -> Result<()> {
    packages(&[("wixl", "wixl"), ("msibuild", "msitools"), ("osslsigncode", "osslsigncode")])
}

/// The real receivers of the end-to-end tests, as the environment variables that name them.
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

/// The peers that the bench measures beside the agent, as the environment variables that name them.
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

/// axe-core, which looks for what keeps people from using a page.
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
    packages(&[("python3", "python3")])?;
    let folder = cache("decoder")?;
    let python = folder.join("bin/python").display().to_string();
    let complete = folder.join("complete");
    let packages_there = std::fs::read_to_string(&complete).unwrap_or_default();
    if packages_there != PYTHON_PACKAGES.join(" ") {
        step("Get Python packages of OpenTelemetry", || {
            if run(command(&["python3", "-m", "venv"]).arg(&folder).stdout(Stdio::null())).is_err() {
                // Debian keeps what venv needs in a package of its own.
                install(&["python3-venv"])?;
                run(command(&["python3", "-m", "venv", "--clear"]).arg(&folder))?;
            }
            run(command(&[&python, "-m", "pip", "install", "-q"]).args(PYTHON_PACKAGES))?;
            Ok(std::fs::write(&complete, PYTHON_PACKAGES.join(" "))?)
        })?;
    }
    Ok(python)
}

/// The modules of tests/sdk/js.
fn javascript_modules() -> Result<String> {
    packages(&[("node", "nodejs"), ("npm", "npm")])?;
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

/// Servers that stand between an agent and its collector, and a store of credentials, for the tests of delivery.
pub(crate) fn proxies() -> Result<()> {
    packages(&[
        ("nginx", "nginx-light"),
        ("tinyproxy", "tinyproxy-bin"),
        ("gnome-keyring-daemon", "gnome-keyring"),
        ("secret-tool", "libsecret-tools"),
    ])
}

/// A browser, for the tests with pages that send.
pub(crate) fn browser() -> Result<()> {
    packages(&[("chromium", "chromium"), ("chromedriver", "chromium-driver")])
}

/// A program of cargo's, from source; not optimized, for it runs for seconds and takes minutes to build.
pub(crate) fn cargo_program(name: &str) -> Result<()> {
    if has(name) {
        return Ok(());
    }
    step(&format!("Install {name}"), || {
        run(&mut command(&["cargo", "install", "--quiet", "--locked", "--debug", name]))
    })
}
