//! The outer loop of QR iterations on a bidiagonal or symmetric tridiagonal matrix: values at the
//! end whose element beside the diagonal is negligible are done, the block above them that has no
//! negligible one takes another step.

/// Steps a value takes at most; two or three are usual.
const steps_max = 40;

/// Clears `e`, the elements beside the diagonal (n - 1 of them and one that is not used), by
/// `steps.take(low, high)` on blocks of rows [low, high]; `steps.negligible(at)` says which element
/// counts as 0. False when a step limit was reached.
pub fn deflate(comptime T: type, e: []T, steps: anytype) bool {
    var high = e.len - 1;
    var left = steps_max * e.len;
    while (high > 0) {
        if (steps.negligible(high - 1)) {
            e[high - 1] = 0;
            high -= 1;
            continue;
        }
        if (left == 0) return false;
        left -= 1;
        var low = high - 1;
        while (low > 0 and !steps.negligible(low - 1)) low -= 1;
        if (low > 0) e[low - 1] = 0;
        steps.take(low, high);
    }
    return true;
}
