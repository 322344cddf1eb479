// Which Weir this is: said by `weir version`, /status, the journal's first line and the build info metric.
// Place: the one line that a release changes.
// Source: semantic versioning 2.0.0.

/// The release of the binary.
public enum Release {
    public static let version = "0.1.0"
}
