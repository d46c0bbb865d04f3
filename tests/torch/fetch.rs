//! A checkpoint that a server on this machine has. rust-bert's cache is found through the environment, so what fetches
//! is a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amends::LoadError;
use tempfolder::Folder;

use super::*;

const URL: &str = "AMENDS_TEST_URL";
const FOLDER: &str = "AMENDS_TEST_FOLDER";

/// A folder that is gone after the test.
mod tempfolder {
    use std::path::{Path, PathBuf};

    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("amends-fetch-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        pub(super) fn join(&self, name: &str) -> PathBuf {
            Path::join(&self.0, name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Serves the small BERT below `/bert/`. Returns its URL, and how many connections it has had.
fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/bert", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            served.fetch_add(1, Ordering::SeqCst);
            let _ = answer(stream);
        }
    });
    (url, count)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let body = path.strip_prefix("/bert/").and_then(|name| fs::read(fixture("bert").join(name)).ok());
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}

/// Fetches in a process of its own, and returns what it printed.
fn fetch(url: &str, folder: &Path, cache: &Path) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fetch::child", "--ignored", "--nocapture"])
        .envs([(URL, url.as_ref()), (FOLDER, folder.as_os_str()), ("RUSTBERT_CACHE", cache.as_os_str())])
        .output()
        .unwrap();
    String::from_utf8_lossy(&child.stdout).into_owned()
}

#[test]
#[ignore = "what `fetch` runs"]
fn child() {
    let (Some(url), Some(folder)) = (std::env::var_os(URL), std::env::var_os(FOLDER)) else { return };
    match TorchEncoder::fetch(url.to_str().unwrap(), folder) {
        Ok(()) => println!("fetched"),
        Err(error) => println!("{:?}: {error}", LoadError::kind(&error)),
    }
}

#[test]
fn a_fetched_checkpoint_is_the_same_and_is_fetched_once() {
    let (url, connections) = serve();
    let home = Folder::new("once");
    let (folder, cache) = (home.join("model"), home.join("cache"));
    assert!(fetch(&url, &folder, &cache).contains("fetched"));
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), fs::read(fixture("bert").join(name)).unwrap());
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    TorchEncoder::load(&folder, &TorchOptions::new()).unwrap();

    let before = connections.load(Ordering::SeqCst);
    assert!(before > 0);
    assert!(fetch(&url, &folder, &cache).contains("fetched"));
    assert_eq!(connections.load(Ordering::SeqCst), before);
}

#[test]
fn another_file_than_the_checksums_say_is_not_taken() {
    let (url, _) = serve();
    let home = Folder::new("sums");
    let folder = home.join("model");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("SHA256SUMS"), format!("{:064}  config.json\n", 7)).unwrap();
    let said = fetch(&url, &folder, &home.join("cache"));
    assert!(said.contains("Checksum") && said.contains("config.json"), "{said}");
    assert!(!folder.join("config.json").exists());
}

#[test]
fn what_is_not_there_is_named() {
    let (url, _) = serve();
    let home = Folder::new("missing");
    let said = fetch(&url.replace("/bert", "/nothing"), &home.join("model"), &home.join("cache"));
    assert!(said.contains("Io") && said.contains("/nothing/config.json"), "{said}");
}

#[test]
fn others_than_https_are_refused_before_any_connection() {
    let home = Folder::new("never");
    let folder = home.join("model");
    for url in
        ["http://models.example.com/a", "ftp://127.0.0.1/a", "tests/fixtures", "http://localhost.example.com"]
    {
        let error = TorchEncoder::fetch(url, &folder).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::Unsupported, "{url}");
        assert!(!folder.exists(), "{url}");
    }
}
