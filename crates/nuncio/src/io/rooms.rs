//! Room names as a program has them.

use nuncio_model::{NameError, RoomName, SocketId};

/// Room names as a program has them: one text, or several.
pub trait Rooms {
    /// Parses each name.
    ///
    /// # Errors
    /// [`NameError`] of the first that is none.
    fn parse(self) -> Result<Vec<RoomName>, NameError>;
}

impl Rooms for &str {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Ok(vec![RoomName::parse(self)?])
    }
}

impl Rooms for &String {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Rooms::parse(self.as_str())
    }
}

impl Rooms for String {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Rooms::parse(self.as_str())
    }
}

impl Rooms for RoomName {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Ok(vec![self])
    }
}

impl Rooms for &RoomName {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Ok(vec![self.clone()])
    }
}

impl Rooms for SocketId {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Ok(vec![RoomName::parse(&self.to_string())?])
    }
}

impl<R: Rooms, const N: usize> Rooms for [R; N] {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        Rooms::parse(Vec::from(self))
    }
}

impl<R: Rooms> Rooms for Vec<R> {
    fn parse(self) -> Result<Vec<RoomName>, NameError> {
        let rooms: Result<Vec<_>, _> = self.into_iter().map(Rooms::parse).collect();
        rooms.map(|rooms| rooms.concat())
    }
}
