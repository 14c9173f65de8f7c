//! Whether a server that refuses a gRPC message does so because of its size.
//!
//! gRPC has no code of its own for it: RESOURCE_EXHAUSTED may as well mean a quota, which no split would satisfy. The
//! words are those of grpc-go ("received message larger than max"), grpc-java ("gRPC message exceeds maximum size"),
//! gRPC C++ and Python ("Received message larger than max"), .NET ("Received message exceeds the maximum configured
//! message size"), tonic ("decoded message length too large"), and of proxies in front of them.

const ABOUT_SIZE: [&str; 8] = [
    "larger than max",
    "exceeds maximum size",
    "exceeds the maximum",
    "message length too large",
    "message too large",
    "message size",
    "too large",
    "max message",
];

pub(super) fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ABOUT_SIZE.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::is_about_size;

    #[test]
    fn servers_words_for_a_message_too_large_are_known() {
        for message in [
            "grpc: received message larger than max (5000000 vs. 4194304)",
            "grpc: received message after decompression larger than max (5000000 vs. 4194304)",
            "gRPC message exceeds maximum size 4194304: 5000000",
            "SERVER: Received message larger than max (5000000 vs. 4194304)",
            "Received message exceeds the maximum configured message size.",
            "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
            "trying to send message larger than max (5000000 vs. 4194304)",
            "Payload Too Large",
        ] {
            assert!(is_about_size(message), "{message}");
        }
    }

    #[test]
    fn other_shortages_are_not_about_size() {
        for message in [
            "",
            "full",
            "quota exceeded",
            "data refused due to high memory usage",
            "sending queue is full",
            "rate limit of 100 requests exceeds",
            "max concurrent streams exceeded",
        ] {
            assert!(!is_about_size(message), "{message}");
        }
    }
}
