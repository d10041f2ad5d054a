"""Assertions of general use that test programs expect of `tf.test.TestCase`, beside those of `unittest`."""

import contextlib
import re
from collections.abc import Mapping


def _with(msg, text):
    return f"{text} : {msg}" if msg else text


class Assertions:
    """A mixin for `unittest.TestCase`."""

    # Containers

    def assertEmpty(self, container, msg=None):
        """Fail unless there is nothing in `container`."""
        if len(container):
            self.fail(_with(msg, f"{container!r} has length of {len(container)}."))

    def assertNotEmpty(self, container, msg=None):
        """Fail unless there is something in `container`."""
        if not len(container):
            self.fail(_with(msg, f"{container!r} has length of 0."))

    def assertLen(self, container, expected_len, msg=None):
        """Fail unless `container` has `expected_len` items."""
        if len(container) != expected_len:
            self.fail(_with(msg, f"{container!r} has length of {len(container)}, expected {expected_len}."))

    def assertItemsEqual(self, first, second, msg=None):
        """Fail unless both have the same items, in any order."""
        self.assertCountEqual(first, second, msg)

    def assertSameElements(self, expected_seq, actual_seq, msg=None):
        """Fail unless both have the same items, however often and in whatever order."""
        missing = [x for x in expected_seq if x not in list(actual_seq)]
        extra = [x for x in actual_seq if x not in list(expected_seq)]
        if missing or extra:
            self.fail(_with(msg, f"Expected, but missing: {missing!r}. Unexpected, but present: {extra!r}."))

    def assertContainsSubset(self, expected_subset, actual_set, msg=None):
        """Fail unless every item of `expected_subset` is in `actual_set`."""
        missing = set(expected_subset) - set(actual_set)
        if missing:
            self.fail(_with(msg, f"Missing elements {missing!r}\nExpected: {expected_subset!r}\nActual: {actual_set!r}"))

    def assertNoCommonElements(self, expected_seq, actual_seq, msg=None):
        """Fail where an item is in both."""
        common = set(expected_seq) & set(actual_seq)
        if common:
            self.fail(_with(msg, f"Common elements {common!r}\nExpected: {expected_seq!r}\nActual: {actual_seq!r}"))

    def assertContainsInOrder(self, strings, target, msg=None):
        """Fail unless all `strings` are in the string `target`, one behind the other."""
        position = 0
        for string in [strings] if isinstance(strings, str) else strings:
            found = target.find(string, position)
            if found < 0:
                self.fail(_with(msg, f"Did not find {string!r} behind position {position} of {target!r}."))
            position = found + len(string)

    def assertContainsSubsequence(self, container, subsequence, msg=None):
        """Fail unless the items of `subsequence` are in `container` in this order, with others between."""
        rest = iter(container)
        for item in subsequence:
            if item not in rest:
                self.fail(_with(msg, f"{list(subsequence)!r} is not a subsequence of {list(container)!r}: no {item!r}."))

    def assertContainsExactSubsequence(self, container, subsequence, msg=None):
        """Fail unless the items of `subsequence` are in `container` one next to the other."""
        container, subsequence = list(container), list(subsequence)
        count = len(subsequence)
        if not any(container[i : i + count] == subsequence for i in range(len(container) - count + 1)):
            self.fail(_with(msg, f"{subsequence!r} does not stand together in {container!r}."))

    def assertSequenceStartsWith(self, prefix, whole, msg=None):
        """Fail unless `whole` begins with the items of `prefix`."""
        prefix = list(prefix)
        if list(whole)[: len(prefix)] != prefix:
            self.fail(_with(msg, f"{whole!r} does not start with {prefix!r}."))

    def assertMappingEqual(self, a, b, msg=None, mapping_type=Mapping, check_values_equality=lambda x, y: x == y):
        """Fail unless two mappings have equal keys and values."""
        for mapping in (a, b):
            self.assertIsInstance(mapping, mapping_type, msg)
        different = sorted([key for key in {*a, *b} if key not in a or key not in b], key=str)
        different += [key for key in a if key in b and not check_values_equality(a[key], b[key])]
        if different:
            self.fail(_with(msg, f"{a!r} and {b!r} differ at {different!r}."))

    # Numbers

    def assertBetween(self, value, minv, maxv, msg=None):
        """Fail unless `minv <= value <= maxv`."""
        if not minv <= value <= maxv:
            self.fail(_with(msg, f"{value!r} unexpectedly not between {minv!r} and {maxv!r}"))

    def assertDictAlmostEqual(self, a, b, places=None, msg=None, delta=None):
        """Fail unless two dicts have equal keys and nearly equal values."""
        self.assertCountEqual(a, b, msg)
        for key, value in a.items():
            self.assertAlmostEqual(value, b[key], places, msg or f"at key {key!r}", delta)

    def assertSequenceAlmostEqual(self, expected_seq, actual_seq, places=None, msg=None, delta=None):
        """Fail unless two sequences are of one length and their items nearly equal."""
        self.assertLen(actual_seq, len(expected_seq), msg)
        for index, (x, y) in enumerate(zip(expected_seq, actual_seq, strict=True)):
            self.assertAlmostEqual(x, y, places, msg or f"at index {index}", delta)

    def assertTotallyOrdered(self, *groups, **kwargs):
        """Fail unless items of earlier groups are less than those of later ones, and items of one group are equal."""
        msg = kwargs.get("msg")
        for number, group in enumerate(groups):
            for x in group:
                for y in group:
                    self.assertEqual(x, y, msg)
                for later in groups[number + 1 :]:
                    for y in later:
                        self.assertLess(x, y, msg)
                        self.assertGreater(y, x, msg)

    # Strings and classes

    def assertStartsWith(self, actual, expected_start, msg=None):
        """Fail unless the string begins with `expected_start`."""
        if not actual.startswith(expected_start):
            self.fail(_with(msg, f"{actual!r} does not start with {expected_start!r}"))

    def assertNotStartsWith(self, actual, unexpected_start, msg=None):
        """Fail where the string begins with `unexpected_start`."""
        if actual.startswith(unexpected_start):
            self.fail(_with(msg, f"{actual!r} does start with {unexpected_start!r}"))

    def assertEndsWith(self, actual, expected_end, msg=None):
        """Fail unless the string ends in `expected_end`."""
        if not actual.endswith(expected_end):
            self.fail(_with(msg, f"{actual!r} does not end with {expected_end!r}"))

    def assertNotEndsWith(self, actual, unexpected_end, msg=None):
        """Fail where the string ends in `unexpected_end`."""
        if actual.endswith(unexpected_end):
            self.fail(_with(msg, f"{actual!r} does end with {unexpected_end!r}"))

    def assertRegexMatch(self, actual_str, regexes, message=None):
        """Fail unless one of `regexes` is found in the string."""
        if not any(re.search(regex, actual_str, re.MULTILINE) for regex in regexes):
            self.fail(_with(message, f"{actual_str!r} does not match any of {regexes!r}."))

    def assertIsSubclass(self, cls, superclass, msg=None):
        """Fail unless `cls` derives from `superclass`."""
        if not issubclass(cls, superclass):
            self.fail(_with(msg, f"{cls!r} is not a subclass of {superclass!r}."))

    def assertNotIsSubclass(self, cls, superclass, msg=None):
        """Fail where `cls` derives from `superclass`."""
        if issubclass(cls, superclass):
            self.fail(_with(msg, f"{cls!r} is a subclass of {superclass!r}."))

    # Exceptions

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(self, exception_type, expected_err_re_or_predicate):
        """A context that fails unless it raises `exception_type` with a message that fits.

        Args:
            exception_type: the class, or a tuple of classes.
            expected_err_re_or_predicate: a regular expression found in the message, or a function of the exception.
        """
        try:
            yield
        except Exception as error:
            text = str(error)
            fits = expected_err_re_or_predicate
            matched = fits(error) if callable(fits) else re.search(fits, text) is not None
            if not isinstance(error, exception_type) or not matched:
                raise AssertionError(
                    f"Exception of type {type(error)}: {text}\nexpected was {exception_type} and a match of {fits!r}"
                ) from error
        else:
            self.fail(f"{getattr(exception_type, '__name__', exception_type)} not raised")

    def assertRaisesWithLiteralMatch(
        self, expected_exception, expected_exception_message, callable_obj=None, *args, **kwargs
    ):
        """Fail unless the call (or the context, without one) raises an exception with exactly this message."""
        context = self.assertRaisesWithPredicateMatch(
            expected_exception, lambda error: str(error) == expected_exception_message
        )
        if callable_obj is None:
            return context
        with context:
            callable_obj(*args, **kwargs)
        return None
