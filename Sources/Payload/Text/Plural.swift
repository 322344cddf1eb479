// Counts with their nouns, for messages.
// Place: wherever a sentence counts.
// Invariant: regular nouns only.

/// "1 line", "2 lines".
public enum Plural {
    public static func text(_ count: some BinaryInteger, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
