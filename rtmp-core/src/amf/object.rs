//! Ordered pairs of a key and a value.

use super::Text;

/// The properties of an object, in the order of the wire. Duplicate keys are kept; the last one wins a look-up.
///
/// ```
/// use rtmp_core::amf::{Object, amf0::Value};
///
/// let object: Object<Value> = [("app", Value::from("live")), ("fpad", Value::from(false))].into_iter().collect();
/// assert_eq!(object.get("app"), Some(&Value::from("live")));
/// assert_eq!(object.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>(), ["app", "fpad"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Object<V>(Vec<(Text, V)>);

impl<V> Object<V> {
    /// An object without properties.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a property.
    pub fn push(&mut self, key: impl Into<Text>, value: impl Into<V>) {
        self.0.push((key.into(), value.into()));
    }

    /// The same object with one more property.
    #[must_use]
    pub fn with(mut self, key: impl Into<Text>, value: impl Into<V>) -> Self {
        self.push(key, value);
        self
    }

    /// The value of the last property with this key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.0.iter().rev().find(|(k, _)| *k == *key).map(|(_, value)| value)
    }

    /// Removes every property with this key and says whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(k, _)| *k != *key);
        self.0.len() != before
    }

    /// The properties in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Text, V)> {
        self.0.iter()
    }

    /// How many properties there are, duplicates included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no properties.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Object<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<Text>, V> FromIterator<(K, V)> for Object<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(properties: I) -> Self {
        Self(properties.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<'a, V> IntoIterator for &'a Object<V> {
    type Item = &'a (Text, V);
    type IntoIter = std::slice::Iter<'a, (Text, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V> IntoIterator for Object<V> {
    type Item = (Text, V);
    type IntoIter = std::vec::IntoIter<(Text, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
