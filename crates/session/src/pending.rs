//! Calls that wait for their outcome.

use crate::call::Call;

/// The calls of one session that are under way: allocated only while there are some.
#[derive(Debug, Default)]
pub(crate) struct Pending(
    #[expect(
        clippy::box_collection,
        reason = "8 bytes instead of 24 in every idle session"
    )]
    Option<Box<Vec<Call>>>,
);

impl Pending {
    pub(crate) fn push(&mut self, call: Call) {
        self.0.get_or_insert_default().push(call);
    }

    /// Takes the call of that number out.
    pub(crate) fn take(&mut self, number: u32) -> Option<Call> {
        let calls = self.0.as_mut()?;
        let index = calls.iter().position(|call| call.number == number)?;
        let call = calls.remove(index);
        if calls.is_empty() {
            self.0 = None;
        }
        Some(call)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |calls| calls.len())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().flat_map(|calls| calls.iter())
    }
}
