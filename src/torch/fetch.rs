//! Fetching a checkpoint on request, with rust-bert's downloader.

use std::fs;
use std::path::Path;

use rust_bert::resources::{RemoteResource, ResourceProvider};

use super::TorchEncoder;
use crate::error::{LoadError, LoadErrorKind};
use crate::model::folder;

/// What a checkpoint consists of. Other forms of weights may hold code, and are not fetched.
const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Where rust-bert keeps these files in its cache.
const CACHED: &str = "amends";

impl TorchEncoder {
    /// Fetches a checkpoint into `folder`, for [`TorchEncoder::load`] to find: `config.json`, `tokenizer.json` and
    /// `model.safetensors`, which lie below `url`. Feature `remote`.
    ///
    /// Files that `folder` holds already are left as they are, so a second call opens no connection. If it holds
    /// a `SHA256SUMS` (as `sha256sum` prints it), every file must be listed there and have that digest; what has
    /// another is not put into the folder. Without it nobody checks what came: name a commit in the URL, not a branch.
    ///
    /// This is the only function of the crate that opens a connection. rust-bert keeps a copy of what it fetched
    /// in its own cache (the variable `RUSTBERT_CACHE`, or `.rustbert` in the user's cache folder).
    ///
    /// ```no_run
    /// use amends::{TorchEncoder, TorchOptions};
    ///
    /// TorchEncoder::fetch("https://models.example.com/reviews/resolve/1f0c2a", "my-model")?;
    /// let encoder = TorchEncoder::load("my-model", &TorchOptions::new())?;
    /// # Ok::<(), amends::LoadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Unsupported`](LoadErrorKind::Unsupported) for a URL that begins neither with `https://` nor with
    ///   `http://localhost` or `http://127.0.0.1`;
    /// - [`Io`](LoadErrorKind::Io) if a file is not there or cannot be fetched or written; the message has its URL;
    /// - [`Checksum`](LoadErrorKind::Checksum) if a file has another digest than `SHA256SUMS` says, or is not listed.
    pub fn fetch(url: &str, folder: impl AsRef<Path>) -> Result<(), LoadError> {
        let dir = folder.as_ref();
        if !allowed(url) {
            let message = format!("{url}: only https, or http on this machine");
            return Err(LoadError::new(LoadErrorKind::Unsupported, message));
        }
        fs::create_dir_all(dir).map_err(|error| LoadError::io(dir, error))?;
        let listed = folder::read_checksums(dir)?;
        let sums = listed.as_deref().map(folder::parse_checksums).transpose()?;
        for name in FILES {
            let path = dir.join(name);
            if path.is_file() {
                continue;
            }
            let url = format!("{}/{name}", url.trim_end_matches('/'));
            let cached = RemoteResource::new(&url, CACHED).get_local_path().map_err(|error| {
                let message = format!("cannot fetch {url}");
                LoadError::new(LoadErrorKind::Io, message).with_path(&path).with_source(error)
            })?;
            if let Some(sums) = &sums {
                folder::verify(dir, sums, name, &folder::read(&cached)?)?;
            }
            // Whole or not at all, also where this process is ended in the midst of it.
            let part = dir.join(format!("{name}.part"));
            fs::copy(&cached, &part)
                .and_then(|_| fs::rename(&part, &path))
                .map_err(|error| LoadError::io(&path, error))?;
        }
        Ok(())
    }
}

/// Whether nobody on the way can change what is fetched from there.
fn allowed(url: &str) -> bool {
    let here = |host: &str| {
        let rest = url.strip_prefix("http://").and_then(|rest| rest.strip_prefix(host));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    url.starts_with("https://") || here("localhost") || here("127.0.0.1")
}
