//! The experience score of an interaction: 0 as bad as it gets, 50 indifferent, 100 as good as it gets.
