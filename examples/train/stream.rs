//! The order in which sentences and stories are trained on: mixed by source, batched by length.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::data::Example;
use crate::recipe::{Source, TrainOptions};

/// A sentence that stands alone, or the sentences of a story.
pub(crate) type Unit = Vec<Row>;

/// How many units are sorted by length together: enough that batches need little padding, few enough that
/// sentences of all lengths and sources follow one another, and that several pools lie between two measurements,
/// which are made at the end of a pool only.
pub(crate) fn pool_size(sources: &[(Source, Vec<Unit>)], plan: &TrainOptions) -> usize {
    let planned: f64 = sources.iter().map(|(source, units)| lap(source, units) * source.passes).sum();
    ((planned * plan.passes / 4.0 / plan.measurements as f64) as usize).clamp(64, 4096)
}

/// A row as the model sees it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ids: Vec<u32>,
    pub(crate) sentiment: Option<[f32; 3]>,
    pub(crate) events: Option<Vec<(usize, f32)>>,
    pub(crate) told: Option<bool>,
    pub(crate) weight: f32,
}

impl Row {
    /// A row of an example with its token ids, weighted as its source says.
    pub(crate) fn new(ids: Vec<u32>, example: &Example, source: &Source) -> Row {
        let neutral = example.sentiment.is_some_and(|[_, neutral, _]| neutral > 0.5);
        let factor = if neutral { source.neutral_weight } else { 1.0 };
        Row {
            ids,
            sentiment: example.sentiment,
            events: example.events.clone(),
            told: example.told,
            weight: example.weight * (source.weight * factor) as f32,
        }
    }
}

/// A small generator of good quality (splitmix64, Steele, Lea and Flood 2014), so that the same seed gives
/// the same order whatever the version of any crate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = ((u128::from(self.next()) * (last as u128 + 1)) >> 64) as usize;
            items.swap(last, other);
        }
    }
}

/// Where a source is in its rows; all that a checkpoint needs to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Place {
    lap: u64,
    next: usize,
    /// Rows owed: what rounding left over when earlier pools were filled.
    owed: f64,
    /// Units that were trained on.
    done: u64,
}

/// Draws pools of rows from the sources for as long as it is asked.
pub(crate) struct Stream {
    seed: u64,
    pool_size: usize,
    sources: Vec<(Source, Vec<Unit>)>,
    /// Units that a lap over a source has, repeats by `event_passes` counted.
    laps: Vec<f64>,
    orders: Vec<Vec<u32>>,
    places: Vec<Place>,
    pools: u64,
}

/// What a checkpoint keeps of a [`Stream`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) seed: u64,
    /// How many units each source has.
    units: Vec<usize>,
    places: Vec<Place>,
    pools: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64, pool_size: usize, sources: Vec<(Source, Vec<Unit>)>) -> Stream {
        let mut stream = Stream {
            seed,
            pool_size,
            laps: sources.iter().map(|(source, units)| lap(source, units)).collect(),
            orders: vec![Vec::new(); sources.len()],
            places: vec![Place::default(); sources.len()],
            pools: 0,
            sources,
        };
        for source in 0..stream.sources.len() {
            stream.orders[source] = stream.order(source);
        }
        stream
    }

    /// Tokens (without padding) of all passes of all sources.
    pub(crate) fn tokens(&self) -> f64 {
        let tokens = |source: &Source, units: &[Unit]| {
            units.iter().map(|unit| repeats(source, unit) * length(unit) as f64).sum::<f64>() * source.passes
        };
        self.sources.iter().map(|(source, units)| tokens(source, units)).sum()
    }

    /// A unit by its source and its number there.
    pub(crate) fn unit(&self, (source, unit): (usize, usize)) -> &[Row] {
        &self.sources[source].1[unit]
    }

    /// Notes that a batch was trained on.
    pub(crate) fn trained(&mut self, batch: &[(usize, usize)]) {
        batch.iter().for_each(|&(source, _)| self.places[source].done += 1);
    }

    /// For each source its name, its units, and how many passes over them were trained so far.
    pub(crate) fn report(&self) -> Vec<(String, usize, f64)> {
        let line = |index: usize| {
            let (source, units) = &self.sources[index];
            let passes = self.places[index].done as f64 / self.laps[index];
            (source.path.display().to_string(), units.len(), passes)
        };
        (0..self.sources.len()).map(line).collect()
    }

    pub(crate) fn state(&self) -> StreamState {
        StreamState {
            seed: self.seed,
            units: self.sources.iter().map(|(_, units)| units.len()).collect(),
            places: self.places.clone(),
            pools: self.pools,
        }
    }

    /// Goes on where `state` was taken.
    ///
    /// # Errors
    ///
    /// If the sources are not those of the checkpoint: the order of their rows would be another.
    pub(crate) fn restore(&mut self, state: StreamState) -> Result<()> {
        ensure!(
            state.units.len() == self.sources.len(),
            "the checkpoint has {} sources, the recipe {}",
            state.units.len(),
            self.sources.len()
        );
        for ((source, units), before) in self.sources.iter().zip(state.units) {
            ensure!(
                units.len() == before,
                "{} has {} sentences or stories, and had {before} when the run began: bring back the file as it was, \
                 or start a new run",
                source.path.display(),
                units.len()
            );
        }
        self.places = state.places;
        self.pools = state.pools;
        for source in 0..self.sources.len() {
            self.orders[source] = self.order(source);
        }
        Ok(())
    }

    /// A seed of the pool that was drawn last.
    pub(crate) fn pool_seed(&self) -> u64 {
        self.seed ^ self.pools.wrapping_mul(0xd134_2543_de82_ef95)
    }

    /// The next pool, cut into batches of at most `budget` tokens (for single sentences, padding counted; a
    /// longer story is a batch of its own). `progress` is the share
    /// of the run that is done; sources take part from and until the share that they name.
    pub(crate) fn pool(&mut self, progress: f64, budget: usize) -> Vec<Vec<(usize, usize)>> {
        let rates: Vec<f64> = (self.sources.iter().zip(&self.laps))
            .map(|((source, _), lap)| {
                let active = source.from <= progress
                    && progress < source.until.max(f64::from(source.until >= 1.0) * 2.0);
                if active { lap * source.passes / (source.until - source.from) } else { 0.0 }
            })
            .collect();
        let total: f64 = rates.iter().sum();
        let mut drawn = Vec::with_capacity(self.pool_size + rates.len());
        for (source, rate) in rates.iter().enumerate() {
            let due = self.places[source].owed + self.pool_size as f64 * rate / total;
            self.places[source].owed = due.fract();
            for _ in 0..due as usize {
                let row = self.draw(source);
                drawn.push((source, row));
            }
        }
        self.pools += 1;
        let mut rng = Rng::new(self.pool_seed());
        rng.shuffle(&mut drawn);
        let (stories, alone): (Vec<_>, Vec<_>) = drawn.into_iter().partition(|&at| self.unit(at).len() > 1);
        let lengths: Vec<usize> = alone.iter().map(|&at| length(self.unit(at))).collect();
        let mut batches: Vec<Vec<(usize, usize)>> = buckets(&lengths, budget)
            .into_iter()
            .map(|batch| batch.into_iter().map(|index| alone[index]).collect())
            .collect();
        let mut batch: Vec<(usize, usize)> = Vec::new();
        let mut tokens = 0;
        for story in stories {
            let more = length(self.unit(story));
            if !batch.is_empty() && tokens + more > budget {
                batches.push(std::mem::take(&mut batch));
                tokens = 0;
            }
            batch.push(story);
            tokens += more;
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        rng.shuffle(&mut batches);
        batches
    }

    fn draw(&mut self, source: usize) -> usize {
        if self.places[source].next >= self.orders[source].len() {
            self.places[source].lap += 1;
            self.places[source].next = 0;
            self.orders[source] = self.order(source);
        }
        let place = &mut self.places[source];
        let row = self.orders[source][place.next];
        place.next += 1;
        row as usize
    }

    /// The order of the rows in the lap that a source is in.
    fn order(&self, source: usize) -> Vec<u32> {
        let lap = self.places[source].lap;
        let mut rng =
            Rng::new(self.seed ^ ((source as u64 + 1) << 40) ^ lap.wrapping_mul(0xa076_1d64_78bd_642f));
        let (options, rows) = &self.sources[source];
        let mut order = Vec::with_capacity(self.laps[source] as usize + 1);
        for (index, row) in rows.iter().enumerate() {
            let repeats = repeats(options, row);
            let whole = repeats as usize + usize::from(rng.uniform() < repeats.fract());
            order.extend(std::iter::repeat_n(index as u32, whole));
        }
        if order.is_empty() {
            order.push(0);
        }
        rng.shuffle(&mut order);
        order
    }
}

fn repeats(source: &Source, unit: &[Row]) -> f64 {
    let told = unit.iter().flat_map(|row| row.events.iter().flatten()).any(|&(_, p)| p >= 0.1);
    if told { source.event_passes } else { 1.0 }
}

/// Units of one lap over a source.
fn lap(source: &Source, units: &[Unit]) -> f64 {
    units.iter().map(|unit| repeats(source, unit)).sum()
}

fn length(unit: &[Row]) -> usize {
    unit.iter().map(|row| row.ids.len()).sum()
}

/// Cuts rows into batches of like lengths whose rows times longest row is at most `budget`. A row longer
/// than that is a batch of its own. Returns indexes into `lengths`; rows of one length keep their order.
pub(crate) fn buckets(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut batches = Vec::new();
    let mut batch: Vec<usize> = Vec::new();
    for index in order {
        if !batch.is_empty() && (batch.len() + 1) * lengths[index] > budget {
            batches.push(std::mem::take(&mut batch));
        }
        batch.push(index);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    fn source(options: &str) -> Source {
        let text = format!("[dev]\nstories='d'\n[[source]]\npath='a'\n{options}");
        toml::from_str::<Recipe>(&text).unwrap().sources.remove(0)
    }

    fn row(length: usize) -> Row {
        Row { ids: vec![7; length], sentiment: None, events: None, told: None, weight: 1.0 }
    }

    fn rows(lengths: impl Iterator<Item = usize>) -> Vec<Unit> {
        lengths.map(|length| vec![row(length)]).collect()
    }

    #[test]
    fn buckets_hold_every_row_once_within_the_budget() {
        let mut rng = Rng::new(3);
        let lengths: Vec<usize> = (0..1000).map(|_| 3 + (rng.next() % 94) as usize).collect();
        let batches = buckets(&lengths, 512);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        let mut padded = 0;
        for batch in &batches {
            let longest = batch.iter().map(|&index| lengths[index]).max().unwrap();
            assert!(batch.len() * longest <= 512 || batch.len() == 1);
            padded += batch.len() * longest;
        }
        let tokens: usize = lengths.iter().sum();
        assert!((padded as f64) < 1.05 * tokens as f64, "{padded} for {tokens}");
        assert_eq!(buckets(&[600], 512), [[0]]);
        assert!(buckets(&[], 512).is_empty());
    }

    #[test]
    fn sources_are_mixed_by_rows_times_passes() {
        let sources = vec![
            (source("passes=4\n"), rows((0..1000).map(|n| 3 + n % 30))),
            (source("passes=0.5\n"), rows((0..8000).map(|n| 3 + n % 50))),
        ];
        let mut stream = Stream::new(1, 4096, sources);
        let mut counts = [0usize; 2];
        for _ in 0..4 {
            for batch in stream.pool(0.5, 1024) {
                batch.iter().for_each(|&(source, _)| counts[source] += 1);
                stream.trained(&batch);
            }
        }
        assert_eq!(counts, [8192, 8192]);
        let report = stream.report();
        assert!((report[0].2 - 8.192).abs() < 1e-9 && (report[1].2 - 1.024).abs() < 1e-9);
    }

    #[test]
    fn each_lap_holds_each_row_as_often_as_asked() {
        let mut all = rows((0..100).map(|n| 3 + n % 9));
        for unit in all.iter_mut().step_by(2) {
            unit[0].events = Some(vec![(3, 0.5)]);
        }
        let stream = Stream::new(9, 4096, vec![(source("event_passes=3\n"), all)]);
        let mut counts = [0; 100];
        stream.orders[0].iter().for_each(|&row| counts[row as usize] += 1);
        for (row, &count) in counts.iter().enumerate() {
            assert_eq!(count, if row % 2 == 0 { 3 } else { 1 });
        }
        assert_eq!(stream.laps[0], 200.0);
    }

    #[test]
    fn sources_take_part_only_in_their_share_of_the_run() {
        let sources = vec![
            (source("until=0.6\n"), rows((0..500).map(|_| 5))),
            (source("from=0.6\n"), rows((0..500).map(|_| 5))),
        ];
        let mut stream = Stream::new(1, 4096, sources);
        for (progress, want) in [(0.0, 0), (0.59, 0), (0.6, 1), (1.0, 1)] {
            assert!(stream.pool(progress, 64).iter().flatten().all(|&(source, _)| source == want));
        }
    }

    #[test]
    fn stories_stay_whole_and_apart_from_single_sentences() {
        let stories = (0..50).map(|n| (0..2 + n % 7).map(|_| row(10)).collect()).collect();
        let sources = vec![(source(""), stories), (source(""), rows((0..50).map(|_| 10)))];
        let mut stream = Stream::new(1, 4096, sources);
        for batch in stream.pool(0.0, 100) {
            assert!(batch.iter().all(|&(source, _)| source == batch[0].0));
            assert!(batch.iter().map(|&at| length(stream.unit(at))).sum::<usize>() <= 100);
        }
    }

    #[test]
    fn a_restored_stream_goes_on_the_same_way() {
        let sources = || vec![(source(""), rows((0..6000).map(|n| 3 + n % 40)))];
        let mut stream = Stream::new(5, 4096, sources());
        stream.pool(0.0, 512);
        let state = serde_json::to_string(&stream.state()).unwrap();
        let mut again = Stream::new(5, 4096, sources());
        again.restore(serde_json::from_str(&state).unwrap()).unwrap();
        assert_eq!(stream.pool(0.1, 512), again.pool(0.1, 512));
        assert_ne!(stream.pool(0.2, 512), Stream::new(6, 4096, sources()).pool(0.2, 512));
    }

    #[test]
    fn a_checkpoint_of_other_sources_is_refused() {
        let stream = |counts: &[usize]| {
            let sources = counts.iter().map(|&count| (source(""), rows((0..count).map(|_| 5)))).collect();
            Stream::new(1, 64, sources)
        };
        let state = stream(&[9, 7]).state();
        let error = |counts: &[usize]| stream(counts).restore(state.clone()).unwrap_err().to_string();
        assert!(error(&[9, 8]).contains("a has 8 sentences or stories, and had 7"));
        assert!(error(&[9]).contains("2 sources"));
        stream(&[9, 7]).restore(state.clone()).unwrap();
    }

    #[test]
    fn short_runs_have_small_pools_so_that_several_lie_between_two_measurements() {
        let plan = |passes, measurements| TrainOptions { passes, measurements, ..TrainOptions::default() };
        let sources = vec![(source("passes=4\n"), rows((0..1000).map(|_| 5)))];
        assert_eq!(pool_size(&sources, &plan(1.0, 8)), 4000 / 32);
        assert_eq!(pool_size(&sources, &plan(2.5, 5)), 10_000 / 20);
        assert_eq!(pool_size(&sources, &plan(0.1, 8)), 64);
        assert_eq!(pool_size(&sources, &plan(1000.0, 8)), 4096);
        let pool = Stream::new(1, 125, sources).pool(0.0, 512);
        assert_eq!(pool.iter().map(Vec::len).sum::<usize>(), 125);
    }

    #[test]
    fn neutral_rows_weigh_what_the_source_says() {
        let source = source("weight=2\nneutral_weight=0.25\n");
        let example = |sentiment| Example {
            text: String::new(),
            sentiment: Some(sentiment),
            told: None,
            events: None,
            label: None,
            weight: 1.0,
            line: 1,
        };
        assert_eq!(Row::new(vec![1], &example([0.0, 1.0, 0.0]), &source).weight, 0.5);
        assert_eq!(Row::new(vec![1], &example([1.0, 0.0, 0.0]), &source).weight, 2.0);
    }
}
