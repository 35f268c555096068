//! Sorting of short lists.

/// Puts a list in order, in which two entries are if `in_order` says so; those that are alike stay as they are.
///
/// By insertion: the sorts of the standard library are fast for long lists, at 5 kB of program for each type of list.
pub fn sort_by<T>(list: &mut [T], in_order: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut place = end;
        while place > 0 && !in_order(&list[place - 1], &list[place]) {
            list.swap(place - 1, place);
            place -= 1;
        }
    }
}

/// The same in ascending order.
pub fn sort<T: Ord>(list: &mut [T]) {
    sort_by(list, |a, b| a <= b);
}

#[cfg(test)]
mod tests {
    use super::sort_by;

    #[test]
    fn what_is_alike_stays_in_its_order() {
        let mut list = [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')];
        sort_by(&mut list, |(a, _), (b, _)| a <= b);
        assert_eq!(list, [(1, 'b'), (1, 'e'), (2, 'd'), (3, 'a'), (3, 'c')]);
        sort_by(&mut list[..0], |_, _| false);
    }
}
