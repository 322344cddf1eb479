// Peers that move as much as they can: what a neighbour's requests have to live beside. One process serves,
// another asks; a blocking thread for each connection and direction, because only volume counts here.
//
//   flows serve                    a server; the first line on stdout is its port
//   flows ask PORT KIND COUNT      COUNT clients of /flows/KIND, each at it again when its connection ends
//
// Kinds: `chunked` (an answer in chunks of 64 KiB without end), `long` (one of a declared length), `tiny`
// (chunks of one byte), `hints` (103 without end), `upload` and `uploadlong` (bodies in chunks, or of a
// declared length), `tunnel` (after 101, both talk without end). The end of stdin ends either process; a
// line on stdin is answered by a line with the bytes that its clients, or its readers of uploads, have read.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 64 << 10, HEAD = 8192 };

static atomic_ulong bytes_read;
static char large[PIECE + 16], tiny[PIECE], hints[PIECE], plain[PIECE];
static int large_bytes, tiny_bytes, hints_bytes, port;
static const char *kind;

static int put(int fd, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t moved = send(fd, bytes, count, MSG_NOSIGNAL);
        if (moved <= 0) return 0;
        bytes += moved;
        count -= (size_t)moved;
    }
    return 1;
}

static int say(int fd, const char *text) { return put(fd, text, strlen(text)); }

static void pour(int fd, const char *piece, int count) {
    while (put(fd, piece, (size_t)count)) {}
}

static void drink(int fd) {
    char room[PIECE * 2];
    for (ssize_t moved; (moved = recv(fd, room, sizeof room, 0)) > 0;) {
        atomic_fetch_add_explicit(&bytes_read, (unsigned long)moved, memory_order_relaxed);
    }
}

static void *drinker(void *argument) {
    drink((int)(intptr_t)argument);
    return NULL;
}

// Both ways at once, until either ends.
static void talk(int fd) {
    pthread_t reader;
    if (pthread_create(&reader, NULL, drinker, (void *)(intptr_t)fd)) return;
    pour(fd, plain, PIECE);
    shutdown(fd, SHUT_RDWR);
    pthread_join(reader, NULL);
}

// Reads a head, and no byte of what follows it.
static int take_head(int fd, char *head) {
    int count = 0;
    while (count < HEAD - 1) {
        if (recv(fd, head + count, 1, 0) != 1) return 0;
        head[++count] = 0;
        if (count >= 4 && !memcmp(head + count - 4, "\r\n\r\n", 4)) return 1;
    }
    return 0;
}

static void *serve_one(void *argument) {
    int fd = (int)(intptr_t)argument;
    char head[HEAD];
    if (take_head(fd, head)) {
        char *end = strstr(head, "\r\n"), *at = strstr(head, "/flows/");
        if (end) *end = 0;
        at = at && at < end ? at + 7 : head;
        if (!strncmp(at, "chunked", 7) || !strncmp(at, "tiny", 4)) {
            say(fd, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            *at == 'c' ? pour(fd, large, large_bytes) : pour(fd, tiny, tiny_bytes);
        } else if (!strncmp(at, "long", 4)) {
            say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000000\r\n\r\n");
            pour(fd, plain, PIECE);
        } else if (!strncmp(at, "hints", 5)) {
            pour(fd, hints, hints_bytes);
        } else if (!strncmp(at, "upload", 6)) {
            drink(fd);
        } else if (!strncmp(at, "tunnel", 6)) {
            say(fd, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: flows\r\n\r\n");
            talk(fd);
        }
    }
    close(fd);
    return NULL;
}

static void *server(void *argument) {
    for (int fd, on = 1; (fd = accept((int)(intptr_t)argument, NULL, NULL)) >= 0;) {
        pthread_t thread;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd)) close(fd);
        else pthread_detach(thread);
    }
    return NULL;
}

static void ask_once(int fd) {
    char line[256], head[HEAD];
    int is_upload = !strncmp(kind, "upload", 6), is_long = !strcmp(kind, "uploadlong");
    int is_tunnel = !strcmp(kind, "tunnel");
    snprintf(line, sizeof line, "%s /flows/%s HTTP/1.1\r\nhost: bench\r\n%s\r\n",
        is_upload ? "POST" : "GET", kind,
        is_long ? "content-length: 1000000000000000\r\n"
        : is_upload ? "transfer-encoding: chunked\r\n"
        : is_tunnel ? "connection: upgrade\r\nupgrade: flows\r\n" : "");
    if (!say(fd, line)) return;
    if (is_tunnel) {
        if (take_head(fd, head)) talk(fd);
    } else if (is_long) {
        pour(fd, plain, PIECE);
    } else if (is_upload) {
        pour(fd, large, large_bytes);
    } else {
        drink(fd);
    }
}

static void *client(void *unused) {
    (void)unused;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) ask_once(fd);
        else usleep(1000);
        if (fd >= 0) close(fd);
    }
    return NULL;
}

static int compose(char *room, const char *piece) {
    int count = 0, length = (int)strlen(piece);
    for (; count + length <= PIECE; count += length) memcpy(room + count, piece, (size_t)length);
    return count;
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    memset(plain, '5', PIECE);
    large_bytes = sprintf(large, "%x\r\n", PIECE);
    memset(large + large_bytes, '5', PIECE);
    large_bytes += PIECE;
    memcpy(large + large_bytes, "\r\n", 2);
    large_bytes += 2;
    tiny_bytes = compose(tiny, "1\r\n5\r\n");
    hints_bytes = compose(hints, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    pthread_t thread;
    if (count == 2 && !strcmp(arguments[1], "serve")) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1024) < 0) return 1;
        getsockname(fd, (struct sockaddr *)&address, &length);
        if (pthread_create(&thread, NULL, server, (void *)(intptr_t)fd)) return 1;
        printf("%d\n", ntohs(address.sin_port));
    } else if (count == 5 && !strcmp(arguments[1], "ask")) {
        port = atoi(arguments[2]);
        kind = arguments[3];
        for (int i = atoi(arguments[4]); i > 0; i--) {
            if (pthread_create(&thread, NULL, client, NULL)) return 1;
        }
        printf("asking\n");
    } else {
        return 2;
    }
    fflush(stdout);
    for (char line[64]; fgets(line, sizeof line, stdin);) {
        printf("%lu\n", atomic_load(&bytes_read));
        fflush(stdout);
    }
    return 0;
}
