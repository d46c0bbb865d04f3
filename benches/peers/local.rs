//! What runs in this process without libtorch: amends, VADER in Rust, and the bound.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use amends::{Analyzer, Document, Encoder, Engine, Model, Precision, TokenBatch};
use anyhow::{Result, bail};
use rayon::ThreadPool;
use rten_gemm::{GemmInT, GemmOutT};
use vader_sentimental::SentimentIntensityAnalyzer;

use crate::Peer;
use crate::data::{Data, Marks, Table};
use crate::products::{self, Products, forwards};

/// amends' encoder, from token ids to vectors.
pub(crate) struct Own {
    name: &'static str,
    encoder: Arc<dyn Encoder>,
    engine: Engine,
    pool: ThreadPool,
    sequences: Vec<Vec<u32>>,
}

pub(crate) fn encoder(data: &Data, precision: Precision) -> Result<Own> {
    let model = Model::from_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/data/model"), precision)?;
    let name = match precision {
        Precision::Int8 => "amends int8",
        Precision::F32 => "amends f32",
        _ => bail!("a precision that has no name here"),
    };
    Ok(Own {
        name,
        encoder: model.encoder(),
        engine: Engine::from_model(&model)?,
        pool: pool(1)?,
        sequences: data.sequences.clone(),
    })
}

fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?)
}

impl Peer for Own {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn note(&self) -> String {
        format!("{} of {}", self.encoder.name(), self.engine.name())
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let mut batch = TokenBatch::new();
        self.sequences.iter().step_by(every).for_each(|ids| batch.push(ids));
        let mut out = vec![0.0; batch.len() * self.encoder.dim()];
        let start = Instant::now();
        self.pool.install(|| self.encoder.encode(black_box(&batch), &mut out))?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, data: &Data) -> Result<Option<Marks>> {
        self.pool.install(|| data.marks_of_engine(&self.engine)).map(Some)
    }
}

/// amends from text to sentiment.
pub(crate) struct OwnFromText {
    own: Own,
    texts: Vec<String>,
}

pub(crate) fn from_text(data: &Data) -> Result<OwnFromText> {
    let texts = data.texts().into_iter().map(str::to_owned).collect();
    Ok(OwnFromText { own: encoder(data, Precision::Int8)?, texts })
}

impl Peer for OwnFromText {
    fn name(&self) -> String {
        "amends int8, from text to sentiment".to_owned()
    }

    fn note(&self) -> String {
        self.own.note()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let texts: Vec<&str> = self.texts.iter().step_by(every).map(String::as_str).collect();
        let start = Instant::now();
        black_box(self.own.pool.install(|| self.own.engine.sentiments(&texts))?);
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, data: &Data) -> Result<Option<Marks>> {
        self.own.marks(data)
    }
}

/// The VADER crate of Rust that is best kept.
struct Vader {
    analyzer: SentimentIntensityAnalyzer<'static>,
    texts: Vec<String>,
}

pub(crate) fn vader(data: &Data) -> impl Peer + use<> {
    let texts = data.texts().into_iter().map(str::to_owned).collect();
    Vader { analyzer: SentimentIntensityAnalyzer::new(), texts }
}

impl Peer for Vader {
    fn name(&self) -> String {
        "VADER, Rust".to_owned()
    }

    fn note(&self) -> String {
        "vader-sentimental 0.1.3".to_owned()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let start = Instant::now();
        for text in self.texts.iter().step_by(every) {
            black_box(self.analyzer.polarity_scores(black_box(text)));
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, data: &Data) -> Result<Option<Marks>> {
        let score = |texts: Vec<&str>| -> Vec<f64> {
            texts.iter().map(|text| self.analyzer.polarity_scores(text).compound).collect()
        };
        Ok(Some(data.marks_of_scores(&score(data.texts()), &score(data.phrases()))))
    }

    fn reads_text(&self) -> bool {
        true
    }
}

/// The matrix products of the encoder and nothing else.
struct Bound<A: GemmInT, B: GemmInT, C: GemmOutT> {
    name: &'static str,
    products: Products<A, B, C>,
    sequences: Vec<Vec<u32>>,
}

pub(crate) fn bound_int8(data: &Data) -> Box<dyn Peer> {
    let (name, sequences) = ("matrix products alone, int8", data.sequences.clone());
    Box::new(Bound { name, products: products::int8(), sequences })
}

pub(crate) fn bound_float(data: &Data) -> Box<dyn Peer> {
    let (name, sequences) = ("matrix products alone, f32", data.sequences.clone());
    Box::new(Bound { name, products: products::float(), sequences })
}

impl<A: GemmInT, B: GemmInT, C: GemmOutT> Peer for Bound<A, B, C> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn note(&self) -> String {
        "rten-gemm".to_owned()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let some: Vec<Vec<u32>> = self.sequences.iter().step_by(every).cloned().collect();
        let forwards = forwards(&some);
        let start = Instant::now();
        self.products.run(&forwards);
        Ok(start.elapsed().as_secs_f64())
    }

    fn marks(&mut self, _: &Data) -> Result<Option<Marks>> {
        Ok(None)
    }
}

/// What everything but the encoder takes, in parts of the encoder's time, over whole stories on one thread: reading,
/// sentences, tokens, heads, events, interactions and scores. The encoder's vectors come from a table meanwhile.
pub(crate) fn share_of_the_rest(data: &Data, rounds: usize) -> Result<Vec<f64>> {
    let documents: Vec<Document<'_>> = data.documents.iter().map(Document::from).collect();
    let analyze = |engine: Engine| -> Result<Analyzer> { Ok(Analyzer::builder().engine(engine).build()?) };
    let sequences = data.recorded(|engine| {
        let failed = analyze(engine)?.analyze_batch(&documents).into_iter().find_map(Result::err);
        failed.map_or(Ok(()), |error| Err(error.into()))
    })?;
    let encoder = data.model.encoder();
    let mut batch = TokenBatch::new();
    sequences.iter().for_each(|ids| batch.push(ids));
    let mut vectors = vec![0.0; batch.len() * encoder.dim()];
    encoder.encode(&batch, &mut vectors)?;
    let table = data.engine(Arc::new(Table::new(data, sequences.iter(), &vectors)))?;
    let analyzer = analyze(table)?;
    let mut shares = Vec::new();
    for _ in 0..rounds {
        let mut encode = || -> Result<f64> {
            let start = Instant::now();
            encoder.encode(black_box(&batch), &mut vectors)?;
            Ok(start.elapsed().as_secs_f64())
        };
        let before = encode()?;
        let start = Instant::now();
        black_box(analyzer.analyze_batch(black_box(&documents)));
        let rest = start.elapsed().as_secs_f64();
        shares.push(rest / ((before + encode()?) / 2.0));
    }
    Ok(shares)
}

/// How many times as many whole stories two threads make as one.
pub(crate) fn gain_of_two_threads(data: &Data, rounds: usize) -> Result<Vec<f64>> {
    let documents: Vec<Document<'_>> = data.documents.iter().map(Document::from).collect();
    let analyzer = Analyzer::builder().engine(Engine::from_model(&data.model)?).build()?;
    let (one, two) = (pool(1)?, pool(2)?);
    let time = |pool: &ThreadPool| {
        let start = Instant::now();
        pool.install(|| black_box(analyzer.analyze_batch(black_box(&documents))));
        start.elapsed().as_secs_f64()
    };
    // Each pool's threads get their memory first.
    time(&one);
    time(&two);
    let round = |_| {
        let before = time(&one);
        let both = time(&two);
        (before + time(&one)) / 2.0 / both
    };
    Ok((0..rounds).map(round).collect())
}
