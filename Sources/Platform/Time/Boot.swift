// Which boot of the machine this is: the monotonic clock of one boot says nothing to that of another.
// Containers on a machine share both.
// Source: random(4), /proc/sys/kernel/random/boot_id.

/// The boot of the machine.
public enum Boot {
    /// Its id, the same for every process until the machine starts again; nil where the kernel does not say.
    public static var id: String? {
        guard let bytes = try? File.readAll("/proc/sys/kernel/random/boot_id", bytesMax: 64) else {
            return nil
        }
        let text = String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
