//! Puts events in the order of their numbers.

/// Events that came before some with smaller numbers. The first number is 1, and after the largest comes 0.
pub(super) struct Order<T> {
    /// The number of the next one.
    next: u32,
    waiting: Vec<(u32, T)>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { next: 1, waiting: Vec::new() }
    }
}

impl<T> Order<T> {
    /// An event came.
    pub(super) fn put(&mut self, number: u32, event: T) {
        self.waiting.push((number, event));
    }

    /// The next in order, if it is here; also one that nobody waited for any more.
    pub(super) fn next(&mut self) -> Option<T> {
        let (index, distance) = self.first()?;
        if distance > 0 {
            return None;
        }
        if distance == 0 {
            self.next = self.next.wrapping_add(1);
        }
        Some(self.waiting.swap_remove(index).1)
    }

    /// How many wait for one before them, after [`next`](Self::next) gave none.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Those before the first that waits will not come.
    pub(super) fn skip(&mut self) {
        if let Some((index, _)) = self.first() {
            self.next = self.waiting[index].0;
        }
    }

    /// Index of the first that waits, and how many before it are missing: below 0 if it is too late.
    fn first(&self) -> Option<(usize, i32)> {
        let distance = |number: u32| number.wrapping_sub(self.next).cast_signed();
        let distances = self.waiting.iter().enumerate().map(|(index, (number, _))| (index, distance(*number)));
        distances.min_by_key(|(_, distance)| *distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &mut Order<u32>) -> Vec<u32> {
        std::iter::from_fn(|| order.next()).collect()
    }

    fn put(order: &mut Order<u32>, numbers: &[u32]) {
        numbers.iter().for_each(|number| order.put(*number, *number));
    }

    #[test]
    fn those_that_overtook_others_wait() {
        let mut order = Order::default();
        put(&mut order, &[1]);
        assert_eq!(all(&mut order), [1]);
        put(&mut order, &[3, 4]);
        assert_eq!((all(&mut order), order.waiting()), (vec![], 2));
        put(&mut order, &[2, 5]);
        assert_eq!(all(&mut order), [2, 3, 4, 5]);
        assert_eq!(order.waiting(), 0);
    }

    #[test]
    fn what_does_not_come_is_left_out_and_what_comes_too_late_is_taken() {
        let mut order = Order::default();
        put(&mut order, &[9, 7]);
        order.skip();
        assert_eq!(all(&mut order), [7]);
        put(&mut order, &[2]);
        assert_eq!(all(&mut order), [2]);
        put(&mut order, &[8]);
        assert_eq!(all(&mut order), [8, 9]);
    }

    #[test]
    fn numbers_begin_again() {
        let mut order = Order { next: u32::MAX, waiting: Vec::new() };
        put(&mut order, &[1, 0, u32::MAX]);
        assert_eq!(all(&mut order), [u32::MAX, 0, 1]);
    }
}
