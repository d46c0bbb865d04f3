//! What the libtorch back end does to the process around it. By itself, because other tests do it, too.
#![cfg(all(feature = "rust-bert", target_os = "linux"))]

use std::fs;
use std::num::NonZeroUsize;

use amends::{TorchEncoder, TorchOptions};

#[test]
fn its_threads_end_with_it_and_leave_libtorchs_setting_alone() {
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("amends-torch-")).count()
    };
    // Both what the calling thread has and what a new one gets.
    let setting = || (tch::get_num_threads(), std::thread::spawn(tch::get_num_threads).join().unwrap());
    tch::set_num_threads(3);
    assert_eq!(setting(), (3, 3));
    let options = TorchOptions::new().with_workers(NonZeroUsize::new(4).unwrap());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch/bert");
    let encoder = TorchEncoder::load(folder, &options).unwrap();
    assert_eq!((threads(), setting()), (4, (3, 3)));
    drop(encoder);
    assert_eq!((threads(), setting()), (0, (3, 3)));
}
