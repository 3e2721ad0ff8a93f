//! Scenario: files are signed and verified.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use super::*;

/// Runs a command that must succeed, and returns its output.
fn ok(words: &[&str], folder: &Path) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    said
}

/// Guarantees: a signed program and a signed installer verify against the certificate, and fail to
/// verify once a byte has changed.
#[cfg(target_os = "linux")]
#[test]
fn signature_of_changed_file_does_not_verify() {
    machine::installer().unwrap();
    machine::windows_std().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |words: &[&str]| ok(words, folder.path());
    let subject = "/CN=Test of Insights Agent";
    let usage = "extendedKeyUsage=codeSigning";
    run(&[
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "certificate.pem",
        "-days",
        "2",
        "-subj",
        subject,
        "-addext",
        usage,
    ]);
    fs::write(at("password"), "not a secret").unwrap();
    run(&[
        "openssl",
        "pkcs12",
        "-export",
        "-inkey",
        "key.pem",
        "-in",
        "certificate.pem",
        "-out",
        "signer.p12",
        "-passout",
        "file:password",
    ]);
    fs::write(at("program.c"), "int main(void) { return 0; }").unwrap();
    run(&["x86_64-w64-mingw32-gcc", "-s", "-o", "program.exe", "program.c"]);
    run(&["msibuild", "installer.msi", "-s", "Test"]);

    let signer = Signer::Pkcs12 { file: at("signer.p12"), password_file: at("password"), timestamp: None };
    for name in ["program.exe", "installer.msi"] {
        signer.sign(&at(name)).unwrap();
        let verify = ["osslsigncode", "verify", "-CAfile", "certificate.pem", "-in", name];
        let said = run(&verify);
        assert!(said.contains("Signature verification: ok"), "{name}: {said}");
    }
    let mut bytes = fs::read(at("program.exe")).unwrap();
    bytes[0x400] ^= 1;
    fs::write(at("program.exe"), bytes).unwrap();
    let verify = ["verify", "-CAfile", "certificate.pem", "-in", "program.exe"];
    let changed = Command::new("osslsigncode").args(verify).current_dir(folder.path()).output().unwrap();
    assert!(!changed.status.success(), "a changed program does not verify");
}

/// Guarantees: a custom signing command gets the name of the file, and its failure is an error.
#[cfg(target_os = "linux")]
#[test]
fn signing_command_gets_file_name_and_may_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program.exe");
    fs::write(&file, "unsigned").unwrap();
    let signer = |words: &[&str]| Signer::Command(words.iter().map(|word| (*word).to_owned()).collect());
    signer(&["sed", "-i", "s/unsigned/signed/", "{file}"]).sign(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "signed");
    assert!(signer(&["false", "{file}"]).sign(&file).is_err());
}
