//! rust-bert, by the feature of that name.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use amends::{Encoder, TokenBatch, TorchBatching, TorchEncoder, TorchOptions};
use anyhow::Result;
use rust_bert::distilbert::{DistilBertConfig, DistilBertModelClassifier};
use tch::{Device, Tensor, nn};

use crate::Peer;
use crate::data::{Data, Marks};

/// Tokens that share a pass; more are no faster on a processor.
const PASS_TOKENS: usize = 512;

pub(crate) fn peers(data: &Data) -> Result<Vec<Box<dyn Peer>>> {
    let max_tokens = NonZeroUsize::new(PASS_TOKENS).unwrap_or(NonZeroUsize::MIN);
    let same = |name, batching| -> Result<Box<dyn Peer>> {
        let options = TorchOptions::new().with_workers(NonZeroUsize::MIN).with_batching(batching);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/model");
        let encoder = Arc::new(TorchEncoder::load(folder, &options)?);
        Ok(Box::new(Same { name, encoder, sequences: data.sequences.clone() }))
    };
    Ok(vec![
        same("rust-bert, same weights, padded and masked", TorchBatching::Padded { max_tokens })?,
        same("rust-bert, same weights, one by one", TorchBatching::Alone)?,
        Box::new(DistilBert::new(data)?),
    ])
}

/// The shipped weights in f32 on rust-bert's BERT.
struct Same {
    name: &'static str,
    encoder: Arc<TorchEncoder>,
    sequences: Vec<Vec<u32>>,
}

impl Peer for Same {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn note(&self) -> String {
        "rust-bert 0.23, libtorch 2.4, f32".to_owned()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let mut batch = TokenBatch::new();
        self.sequences.iter().step_by(every).for_each(|ids| batch.push(ids));
        let mut out = vec![0.0; batch.len() * self.encoder.dim()];
        let start = Instant::now();
        self.encoder.encode(&batch, &mut out)?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, data: &Data) -> Result<Option<Marks>> {
        let engine = data.engine(Arc::clone(&self.encoder) as Arc<dyn Encoder>)?;
        data.marks_of_engine(&engine).map(Some)
    }
}

/// rust-bert's default sentiment model by its size: DistilBERT, 6 layers of 768. The weights are random, because
/// the real ones would have to be downloaded; that changes no time.
struct DistilBert {
    model: DistilBertModelClassifier,
    sequences: Vec<Vec<u32>>,
    _store: nn::VarStore,
}

impl DistilBert {
    fn new(data: &Data) -> Result<Self> {
        let store = nn::VarStore::new(Device::Cpu);
        let labels = [(0, "NEGATIVE".to_owned()), (1, "POSITIVE".to_owned())];
        let config = DistilBertConfig { id2label: Some(labels.into()), ..DistilBertConfig::default() };
        let model = DistilBertModelClassifier::new(store.root(), &config)?;
        Ok(DistilBert { model, sequences: data.sequences.clone(), _store: store })
    }
}

impl Peer for DistilBert {
    fn name(&self) -> String {
        "rust-bert, its default size (DistilBERT)".to_owned()
    }

    fn note(&self) -> String {
        "rust-bert 0.23, libtorch 2.4, f32, random weights, sentences of a length together".to_owned()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        tch::set_num_threads(1);
        let mut chosen: Vec<&Vec<u32>> = self.sequences.iter().step_by(every).collect();
        chosen.sort_by_key(|ids| ids.len());
        let mut batches = Vec::new();
        for equal in chosen.chunk_by(|a, b| a.len() == b.len()) {
            let length = equal[0].len();
            for some in equal.chunks((PASS_TOKENS / length).max(1)) {
                let ids: Vec<i64> = some.iter().flat_map(|ids| ids.iter().map(|&id| i64::from(id))).collect();
                batches.push(Tensor::from_slice(&ids).view([-1, i64::try_from(length)?]));
            }
        }
        let start = Instant::now();
        tch::no_grad(|| -> Result<()> {
            for ids in &batches {
                let logits = self.model.forward_t(Some(ids), None, None, false)?.logits;
                anyhow::ensure!(logits.size()[1] == 2);
            }
            Ok(())
        })?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, _: &Data) -> Result<Option<Marks>> {
        Ok(None)
    }

    fn remark(&self) -> &'static str {
        "0.911 by its model card"
    }
}
