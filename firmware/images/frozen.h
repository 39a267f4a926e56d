// Alignments below a word become a word: see image.cmake.
#define aligned(n) aligned((n) < 4 ? 4 : (n))
