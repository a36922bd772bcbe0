//! Medians, quartiles, and which rounds count.

use serde::Serialize;

/// The middle of a set of figures and how far it scatters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Quartiles {
    /// A quarter of the figures lies below.
    pub(crate) q1: f64,
    /// Half of them.
    pub(crate) median: f64,
    /// Three quarters.
    pub(crate) q3: f64,
}

impl Quartiles {
    /// The quartiles of `figures`, between neighbours by distance; `None` of nothing.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |fraction| quantile(&sorted, fraction);
        Some(Self {
            q1: at(0.25)?,
            median: at(0.5)?,
            q3: at(0.75)?,
        })
    }
}

/// The figure below which `fraction` of the `sorted` ones lie, interpolated; `None` of nothing.
pub(crate) fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = fraction.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

/// For each round whether it counts: one whose floor is more than [`FLOOR_DEVIATION_MAX`] off the floor's median was
/// disturbed by something outside, and says nothing about the server either.
pub(crate) fn rounds_that_count(floors: &[f64]) -> Vec<bool> {
    let median = Quartiles::of(floors.iter().copied()).map_or(0.0, |floor| floor.median);
    floors
        .iter()
        .map(|floor| (floor / median - 1.0).abs() <= FLOOR_DEVIATION_MAX)
        .collect()
}

const FLOOR_DEVIATION_MAX: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_five_figures_are_the_second_third_and_fourth() {
        assert_eq!(
            Quartiles::of([5.0, 1.0, 4.0, 2.0, 3.0]),
            Some(Quartiles {
                q1: 2.0,
                median: 3.0,
                q3: 4.0
            })
        );
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(
            Quartiles::of([1.0, 2.0, 3.0, 10.0]).map(|figures| figures.median),
            Some(2.5)
        );
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Quartiles::of([]), None);
    }

    #[test]
    fn a_round_whose_floor_is_more_than_a_fifth_off_does_not_count() {
        assert_eq!(
            rounds_that_count(&[3.0, 3.1, 2.9, 3.7, 2.3]),
            [true, true, true, false, false]
        );
    }
}
