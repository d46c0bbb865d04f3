//! Sentences and stories as tensors.

use tch::Tensor;

use crate::stream::buckets;

/// Sentences of about one length. Ids are `[rows, tokens]`; where rows are padded, the mask is what to add
/// to the attention scores, `[rows, 1, 1, tokens]`: 0, or a large negative number at padding.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) ids: Tensor,
    pub(crate) mask: Option<Tensor>,
}

impl Chunk {
    /// Rows of ids, padded with 0 at their ends to the longest.
    fn new(rows: &[&[u32]]) -> Chunk {
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let padded = rows.iter().any(|row| row.len() != longest);
        let mut ids = Vec::with_capacity(rows.len() * longest);
        let mut mask = Vec::with_capacity(if padded { ids.capacity() } else { 0 });
        for row in rows {
            let fill = longest - row.len();
            ids.extend(row.iter().map(|&id| i64::from(id)).chain(std::iter::repeat_n(0, fill)));
            if padded {
                mask.extend(std::iter::repeat_n(0f32, row.len()).chain(std::iter::repeat_n(-1e4, fill)));
            }
        }
        let (count, longest) = (rows.len() as i64, longest as i64);
        let mask = padded.then(|| Tensor::from_slice(&mask).view([count, 1, 1, longest]));
        Chunk { ids: Tensor::from_slice(&ids).view([count, longest]), mask }
    }
}

/// Sentences of a batch, story by story; a sentence that stands alone is a story of one.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) chunks: Vec<Chunk>,
    /// For each sentence its row among those of all chunks; none if that is its own number.
    pub(crate) gather: Option<Tensor>,
    pub(crate) packing: Packing,
}

/// Stories side by side, as libtorch's recurrent layers want them: the first sentences of all stories,
/// longest story first, then the second ones, and so on.
#[derive(Debug)]
pub(crate) struct Packing {
    pub(crate) pack: Tensor,
    pub(crate) unpack: Tensor,
    pub(crate) sizes: Tensor,
}

/// Tokens of a chunk, padding counted: less makes less padding but smaller matrix products.
const CHUNK_TOKENS: usize = 640;

impl Input {
    pub(crate) fn new(stories: &[Vec<&[u32]>]) -> Input {
        let sentences: Vec<&[u32]> = stories.iter().flatten().copied().collect();
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        let alone = stories.iter().all(|story| story.len() == 1);
        let (chunks, gather) = if alone {
            (vec![Chunk::new(&sentences)], None)
        } else {
            let parts = buckets(&lengths, CHUNK_TOKENS);
            let mut rows = vec![0i64; sentences.len()];
            parts.iter().flatten().enumerate().for_each(|(row, &sentence)| rows[sentence] = row as i64);
            let chunk =
                |part: &Vec<usize>| Chunk::new(&part.iter().map(|&at| sentences[at]).collect::<Vec<_>>());
            (parts.iter().map(chunk).collect(), Some(Tensor::from_slice(&rows)))
        };
        let counts: Vec<usize> = stories.iter().map(Vec::len).collect();
        Input { chunks, gather, packing: Packing::new(&counts) }
    }
}

impl Packing {
    fn new(counts: &[usize]) -> Packing {
        let (pack, sizes) = packed_order(counts);
        let mut unpack = vec![0i64; pack.len()];
        pack.iter().enumerate().for_each(|(row, &sentence)| unpack[sentence as usize] = row as i64);
        Packing {
            pack: Tensor::from_slice(&pack),
            unpack: Tensor::from_slice(&unpack),
            sizes: Tensor::from_slice(&sizes),
        }
    }
}

/// Numbers of the sentences in packed order, and how many stories have a first, a second ... sentence.
fn packed_order(counts: &[usize]) -> (Vec<i64>, Vec<i64>) {
    let mut stories: Vec<(usize, usize)> = Vec::with_capacity(counts.len());
    let mut start = 0;
    for &count in counts {
        stories.push((start, count));
        start += count;
    }
    stories.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let (mut order, mut sizes) = (Vec::with_capacity(start), Vec::new());
    for step in 0..stories.first().map_or(0, |&(_, count)| count) {
        let there = stories.iter().take_while(|&&(_, count)| count > step);
        let before = order.len();
        order.extend(there.map(|&(start, _)| (start + step) as i64));
        sizes.push((order.len() - before) as i64);
    }
    (order, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_takes_longest_stories_first() {
        assert_eq!(packed_order(&[1, 3, 2]), (vec![1, 4, 0, 2, 5, 3], vec![3, 2, 1]));
        assert_eq!(packed_order(&[]), (vec![], vec![]));
    }
}
