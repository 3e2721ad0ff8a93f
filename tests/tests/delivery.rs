//! Scenario: delivery in an enterprise network: TLS and client certificates (nginx), a forward
//! proxy with a password (tinyproxy), OAuth 2 tokens, destinations of single signals, a fallback.
//! The real Collector is behind all of them.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use test_support::peers::Backend;
use test_support::test_env::{TestEnv, text};
use test_support::{free_port, wait_for};

/// A server that exits with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}; cargo xtask test installs it")));
        wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).ok());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM: nginx then also ends its children.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A certificate authority for one test, which writes its files to a folder.
struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self { folder: folder.to_owned(), issuer }
    }

    /// Creates a certificate for some names that is valid until a year; writes certificate and key
    /// to files.
    fn certificate(&self, file: &str, names: &[&str], until: i32) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// Starts nginx with these servers, each on its own port. It logs the header `authorization` of
/// each request.
fn nginx(folder: &Path, servers: &str, port: u16) -> (Server, PathBuf) {
    let (config, log) = (folder.join("nginx.conf"), folder.join("access.log"));
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = places.map(|name| format!("{name}_temp_path {};\n", folder.join(name).display())).concat();
    let text = format!(
        "daemon off; pid {0}/nginx.pid; error_log {0}/error.log; events {{}}
         http {{
           log_format tokens '$request_uri $status $http_authorization';
           access_log {1} tokens;
           {temporary}
           client_max_body_size 64m; ssl_protocols TLSv1.2 TLSv1.3;
           {servers}
         }}",
        folder.display(),
        log.display()
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    (Server::start(command.arg("-c").arg(&config).arg("-e").arg(folder.join("start.log")), port), log)
}

fn host_name() -> String {
    text(&test_support::output(&mut Command::new("hostname")).stdout).trim().to_owned()
}

/// Returns the problem with metrics that the status reports.
fn problem(status: &Value) -> String {
    status["collector"]["metrics"]["problem"]["sentence"].as_str().unwrap_or_default().to_owned()
}

fn env_for(endpoint: &str, protocol: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={endpoint}"));
    env.set(format!("collector.protocol={protocol}"));
    env
}

/// Waits until the Collector has metrics of a department.
fn wait_for_metrics(backend: &Backend, department: &str) {
    let wanted = format!("department: Str({department})");
    wait_for(&format!("metrics of {department}"), || backend.written().contains(&wanted).then_some(()));
}

/// Guarantees: data arrives over gRPC and HTTP through nginx, which accepts only machines with a
/// client certificate. A header from a file is sent with the current content of the file.
///
/// Settings: `collector.certificate`, `collector.client_certificate`, `collector.client_key`.
#[test]
fn client_certificate_and_token_file_are_sent_to_gateway() {
    let Some(backend) = Backend::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    authority.certificate("server", &["localhost"], 2100);
    authority.certificate("desk", &["desk"], 2100);
    let (grpc, http) = (free_port(), free_port());
    let common = format!(
        "ssl_certificate {0}; ssl_certificate_key {1}; ssl_client_certificate {2}; ssl_verify_client on;",
        authority.file("server.pem"),
        authority.file("server.key"),
        authority.file("authority.pem")
    );
    let servers = format!(
        "server {{ listen 127.0.0.1:{grpc} ssl http2; {common} location / {{ grpc_pass grpc://127.0.0.1:{}; }} }}
         server {{ listen 127.0.0.1:{http} ssl; {common} location / {{ proxy_pass http://127.0.0.1:{}; }} }}",
        backend.grpc, backend.http
    );
    let (_nginx, log) = nginx(folder.path(), &servers, grpc);
    let token = folder.path().join("token");
    for (protocol, port) in [("grpc", grpc), ("http/protobuf", http)] {
        let mut env = env_for(&format!("https://localhost:{port}"), protocol);
        env.set(format!("collector.certificate={}", authority.file("authority.pem")));
        env.set("collector.min_tls_version=1.3");
        let department = protocol.replace('/', "-");
        env.set(format!("resource.attributes.department={department}"));
        let agent = env.start();
        env.wait_for_status("the refusal", |status| !problem(status).is_empty());
        assert!(agent.stop());

        env.set(format!("collector.client_certificate={}", authority.file("desk.pem")));
        env.set(format!("collector.client_key={}", authority.file("desk.key")));
        env.set(format!("collector.headers_from.authorization=file:{}", token.display()));
        fs::write(&token, format!("Bearer first-{department}\n")).unwrap();
        let agent = env.start();
        wait_for_metrics(&backend, &department);
        fs::write(&token, format!("Bearer second-{department}")).unwrap();
        wait_for("the new token", || {
            fs::read_to_string(&log).unwrap().contains(&format!("second-{department}")).then_some(())
        });
        let status = env.wait_for_status("the next acknowledgement", |status| problem(status).is_empty());
        assert!(!status.to_string().contains("second-"), "{status}");
        assert!(agent.stop());
    }
    let seen = fs::read_to_string(&log).unwrap();
    assert!(seen.lines().filter(|line| line.contains("Bearer first-")).all(|line| line.contains(" 200 ")), "{seen}");
}

/// Guarantees: the status has a sentence for each kind of wrong server certificate, and the data
/// stays in the queue.
#[test]
fn status_names_fault_of_server_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    authority.certificate("expired", &["localhost"], 2021);
    authority.certificate("other", &["elsewhere.example.com"], 2100);
    stranger.certificate("unknown", &["localhost"], 2100);
    let cases = [("expired", "has expired"), ("other", "for a different name"), ("unknown", "does not trust")];
    let ports = cases.map(|_| free_port());
    let server = |(name, port): (&str, u16)| {
        let (certificate, key) = (authority.file(&format!("{name}.pem")), authority.file(&format!("{name}.key")));
        format!(
            "server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}; }}"
        )
    };
    let servers: String = cases.iter().zip(ports).map(|((name, _), port)| server((name, port))).collect();
    let (_nginx, _) = nginx(folder.path(), &servers, ports[0]);
    for ((_, sentence), port) in cases.into_iter().zip(ports) {
        let mut env = env_for(&format!("https://localhost:{port}"), "grpc");
        env.set(format!("collector.certificate={}", authority.file("authority.pem")));
        let agent = env.start();
        let status = env.wait_for_status(sentence, |status| problem(status).contains(sentence));
        assert_eq!(status["collector"]["metrics"]["state"], "held", "{status}");
        assert!(status["queue"]["signals"]["metrics"]["items"].as_u64() != Some(0), "{}", status["queue"]);
        assert!(agent.stop());
    }
}

/// Guarantees: a server that supports only TLS 1.2 is rejected, with a sentence in the status, if
/// the settings require 1.3, and is accepted otherwise.
///
/// Settings: `collector.min_tls_version`.
#[test]
fn tls_1_2_server_is_refused_when_1_3_is_required() {
    let Some(backend) = Backend::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    authority.certificate("server", &["localhost"], 2100);
    let port = free_port();
    let (certificate, key) = (authority.file("server.pem"), authority.file("server.key"));
    let servers = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2; ssl_certificate {certificate}; ssl_certificate_key {key};
           location / {{ proxy_pass http://127.0.0.1:{}; }} }}",
        backend.http
    );
    let (_nginx, _) = nginx(folder.path(), &servers, port);
    let mut env = env_for(&format!("https://localhost:{port}"), "http/protobuf");
    env.set(format!("collector.certificate={}", authority.file("authority.pem")));
    env.set("resource.attributes.department=old-tls");
    env.set("collector.min_tls_version=1.3");
    let agent = env.start();
    let status = env.wait_for_status("the refusal", |status| !problem(status).is_empty());
    assert!(problem(&status).contains("No secure connection"), "{}", problem(&status));
    assert!(agent.stop());
    env.set("collector.min_tls_version=1.2");
    let agent = env.start();
    wait_for_metrics(&backend, "old-tls");
    assert!(agent.stop());
}

/// Guarantees: data passes a forward proxy with a password, over gRPC and HTTP. If the password is
/// missing, the status says so.
///
/// Settings: `collector.proxy.address`, `collector.proxy.user`, `collector.proxy.password`,
/// `collector.proxy.password_from`.
#[test]
fn data_passes_forward_proxy_with_password() {
    let Some(backend) = Backend::start() else { return };
    let (folder, host) = (tempfile::tempdir().unwrap(), host_name());
    let authority = Authority::new(folder.path(), "authority");
    authority.certificate("server", &[&host], 2100);
    let (grpc, http, proxy) = (free_port(), free_port(), free_port());
    let common = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        authority.file("server.pem"),
        authority.file("server.key")
    );
    let servers = format!(
        "server {{ listen {grpc} ssl http2; {common} location / {{ grpc_pass grpc://127.0.0.1:{}; }} }}
         server {{ listen {http} ssl; {common} location / {{ proxy_pass http://127.0.0.1:{}; }} }}",
        backend.grpc, backend.http
    );
    let (_nginx, _) = nginx(folder.path(), &servers, grpc);
    let (config, log) = (folder.path().join("tinyproxy.conf"), folder.path().join("tinyproxy.log"));
    let log_line = log.display();
    let text = format!(
        "Port {proxy}\nListen 127.0.0.1\nTimeout 600\nLogFile \"{log_line}\"\nLogLevel Connect\nBasicAuth desks s3cret-proxy\n"
    );
    fs::write(&config, text).unwrap();
    let _proxy = Server::start(Command::new("tinyproxy").arg("-d").arg("-c").arg(&config), proxy);
    for (protocol, port) in [("grpc", grpc), ("http/protobuf", http)] {
        let mut env = env_for(&format!("https://{host}:{port}"), protocol);
        env.set(format!("collector.certificate={}", authority.file("authority.pem")));
        env.set(format!("collector.proxy.address=http://127.0.0.1:{proxy}"));
        let department = format!("behind-{}", protocol.replace('/', "-"));
        env.set(format!("resource.attributes.department={department}"));
        let agent = env.start();
        let status = env.wait_for_status("the refusal", |status| !problem(status).is_empty());
        assert!(problem(&status).contains("requires a user name and password"), "{}", problem(&status));
        assert!(agent.stop());
        env.set("collector.proxy.user=desks");
        if protocol == "grpc" {
            env.set("collector.proxy.password=s3cret-proxy");
        } else {
            let password = folder.path().join("password");
            fs::write(&password, "s3cret-proxy\n").unwrap();
            env.set(format!("collector.proxy.password_from=file:{}", password.display()));
        }
        let agent = env.start();
        wait_for_metrics(&backend, &department);
        assert!(agent.stop());
    }
    let seen = fs::read_to_string(&log).unwrap();
    assert!(
        seen.contains(&format!("CONNECT {host}:{grpc}")) && seen.contains(&format!("CONNECT {host}:{http}")),
        "{seen}"
    );
}

/// An authorization server: issues a new token for each request with the right secret, and counts
/// them.
struct Authorization {
    port: u16,
    given: Arc<AtomicU64>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Authorization {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (given, asked) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, questions) = (Arc::clone(&given), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if request.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                request.read_exact(&mut body).unwrap();
                questions.lock().unwrap().push(String::from_utf8(body).unwrap());
                // "desks:s3cret-client" in base64.
                let (status, answer) = if head.contains("ZGVza3M6czNjcmV0LWNsaWVudA==") {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    (
                        "200 OK",
                        format!(r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":3600}}"#),
                    )
                } else {
                    ("401 Unauthorized", r#"{"error":"invalid_client","error_description":"who are you"}"#.to_owned())
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { port, given, asked }
    }
}

/// Guarantees: a token is fetched with the client's secret, reused, and fetched again when the
/// collector's gateway no longer accepts it. If the authorization server refuses a token, the
/// status names the server and its error.
///
/// Settings: `collector.oauth2.token_url`, `collector.oauth2.client_secret_from`,
/// `collector.oauth2.scopes`, `collector.oauth2.parameters`.
#[test]
fn oauth2_token_is_renewed_when_gateway_rejects_it() {
    let Some(backend) = Backend::start() else { return };
    let (folder, server) = (tempfile::tempdir().unwrap(), Authorization::start());
    let gateway = free_port();
    let servers = format!(
        "map $http_authorization $known {{ default 0; \"Bearer token-2\" 1; }}
         server {{ listen 127.0.0.1:{gateway}; location / {{ if ($known = 0) {{ return 401; }} proxy_pass http://127.0.0.1:{}; }} }}",
        backend.http
    );
    let (_nginx, log) = nginx(folder.path(), &servers, gateway);
    let mut env = env_for(&format!("http://127.0.0.1:{gateway}"), "http/protobuf");
    env.set("resource.attributes.department=tokens");
    env.set(format!("collector.oauth2.token_url=http://127.0.0.1:{}/token", server.port));
    env.set("collector.oauth2.client_id=desks");
    env.set("collector.oauth2.client_secret=wrong");
    env.set("collector.oauth2.scopes=[\"otlp.write\"]");
    env.set("collector.oauth2.parameters.audience=collector");
    let agent = env.start();
    let status = env.wait_for_status("the refusal", |status| !problem(status).is_empty());
    assert!(problem(&status).contains("did not issue a token: invalid_client: who are you"), "{}", problem(&status));
    assert!(agent.stop());

    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret-client\n").unwrap();
    env.set(format!("collector.oauth2.client_secret_from=file:{}", secret.display()));
    let agent = env.start();
    wait_for_metrics(&backend, "tokens");
    // Three lanes may each have had the first token rejected.
    wait_for("some requests with the second token", || {
        let good = fs::read_to_string(&log).unwrap().matches(" 200 Bearer token-2").count();
        (good >= 3).then_some(())
    });
    assert_eq!(server.given.load(Ordering::SeqCst), 2, "the second token is reused");
    let asked = server.asked.lock().unwrap().join("\n");
    for part in ["grant_type=client_credentials", "scope=otlp.write", "audience=collector"] {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(agent.stop());
}

/// Guarantees: a signal with its own destination goes there, to the address exactly as configured;
/// the other signals go to the common destination. Delivery as JSON works.
#[test]
fn signal_with_own_destination_goes_there() {
    let Some(backend) = Backend::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (all, own) = (free_port(), free_port());
    let servers = format!(
        "server {{ listen 127.0.0.1:{all}; location / {{ proxy_pass http://127.0.0.1:{0}; }} }}
         server {{ listen 127.0.0.1:{own}; location = /spans {{ rewrite .* /v1/traces break; proxy_pass http://127.0.0.1:{0}; }} }}",
        backend.http
    );
    let (_nginx, log) = nginx(folder.path(), &servers, all);
    let mut env = env_for(&format!("http://127.0.0.1:{all}"), "http/json");
    env.set("resource.attributes.department=json");
    env.set(format!("collector.traces.endpoint=http://127.0.0.1:{own}/spans"));
    env.set("collector.traces.protocol=http/protobuf");
    env.set("collector.traces.headers.authorization=own");
    let agent = env.start();
    let _ = env.status();
    let _ = env.ok(&["logs", "share", "on"]);
    assert_eq!(env.ok(&["emit", "span", "com.example.own-way"]).trim(), "Accepted.");
    assert_eq!(env.ok(&["emit", "log", "as JSON"]).trim(), "Accepted.");
    wait_for_metrics(&backend, "json");
    wait_for("the span and the log record", || {
        let written = backend.written();
        ["com.example.own-way", "Str(as JSON)"].iter().all(|part| written.contains(part)).then_some(())
    });
    assert!(agent.stop());
    let seen = fs::read_to_string(&log).unwrap();
    assert!(seen.contains("/spans 200 own"), "{seen}");
    assert!(seen.contains("/v1/metrics 200 -") && seen.contains("/v1/logs 200 -"), "{seen}");
    assert!(!seen.contains("/v1/traces"), "{seen}");
}

/// Guarantees: while the collector is unreachable, data goes to the fallback and is acknowledged
/// there. The status reports both.
#[test]
fn fallback_receives_data_when_collector_is_unreachable() {
    let Some(backend) = Backend::start() else { return };
    let mut env = env_for("http://127.0.0.1:1", "grpc");
    env.set("resource.attributes.department=fallback");
    env.set(format!("collector.fallback.endpoint=http://127.0.0.1:{}", backend.http));
    env.set("collector.fallback.protocol=http/protobuf");
    let agent = env.start();
    wait_for_metrics(&backend, "fallback");
    let status = env.wait_for_status("the failover", |status| problem(status).contains("Meanwhile"));
    let sentence = problem(&status);
    assert!(
        sentence.contains("127.0.0.1:1")
            && sentence.contains(&format!("Meanwhile, metrics are sent to 127.0.0.1:{}", backend.http)),
        "{sentence}"
    );
    assert!(status["collector"]["metrics"]["acknowledged_items"].as_u64().unwrap() > 0, "{status}");
    assert!(agent.stop());
}

/// Guarantees: data is not sent unencrypted to another machine. It stays in the queue, and the
/// status says what to do. With the setting it is sent.
///
/// Settings: `collector.allow_plain_http`.
#[test]
fn plain_http_to_another_machine_needs_permission() {
    let Some(backend) = Backend::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let servers = format!("server {{ listen {port}; location / {{ proxy_pass http://127.0.0.1:{}; }} }}", backend.http);
    let (_nginx, log) = nginx(folder.path(), &servers, port);
    let mut env = env_for(&format!("http://{}:{port}", host_name()), "http/protobuf");
    env.set("resource.attributes.department=clear");
    let agent = env.start();
    let status = env.wait_for_status("the refusal", |status| !problem(status).is_empty());
    assert!(problem(&status).contains("collector.allow_plain_http"), "{}", problem(&status));
    assert!(agent.stop());
    assert!(!log.exists() || fs::read_to_string(&log).unwrap().is_empty(), "no request was sent");
    env.set("collector.allow_plain_http=true");
    let agent = env.start();
    wait_for_metrics(&backend, "clear");
    assert!(agent.stop());
}
