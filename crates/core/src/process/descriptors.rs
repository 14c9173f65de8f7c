//! The runtime's file descriptors in a forked child, where they are of no use: a connection that the parent closes
//! would stay open for its peer as long as a child has it too.
//!
//! Linux alone tells what a runtime has open. Elsewhere a child keeps what it inherited.

#[cfg(all(unix, not(target_os = "linux")))]
pub use elsewhere::close_inherited;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::learn;
#[cfg(target_os = "linux")]
pub use linux::{close_inherited, learn};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    pub fn learn(_runtime: &tokio::runtime::Runtime) {}
    #[cfg(unix)]
    pub fn close_inherited() {}
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, Write};
    use std::os::fd::{AsRawFd, RawFd};
    use std::sync::atomic::{AtomicI32, Ordering};

    use tokio::net::unix::pipe;
    use tokio::runtime::Runtime;

    const NONE: RawFd = -1;

    /// The runtime's epoll, which knows all that the runtime has open, under each of its numbers.
    static EPOLLS: [AtomicI32; 2] = [const { AtomicI32::new(NONE) }; 2];
    /// What wakes the runtime; it has it for as long as the process lives.
    static WAKER: AtomicI32 = AtomicI32::new(NONE);

    const EPOLL: &[u8] = b"anon_inode:[eventpoll]";
    const EVENTFD: &[u8] = b"anon_inode:[eventfd]";

    /// Finds out which descriptors the runtime has. Where it cannot, a child keeps what it inherited.
    pub fn learn(runtime: &Runtime) {
        let _ = try_learn(runtime);
    }

    fn try_learn(runtime: &Runtime) -> io::Result<()> {
        // No other epoll waits for this.
        let mark = {
            let _runtime = runtime.enter();
            let (reader, _writer) = io::pipe()?;
            pipe::Receiver::from_owned_fd(reader.into())?
        };
        let mut epolls = EPOLLS.iter();
        for entry in fs::read_dir("/proc/self/fd")? {
            let Some(descriptor) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if !is(EPOLL, descriptor) {
                continue;
            }
            let mut info = [0; INFO_LEN];
            let watched: Vec<RawFd> = watched_by(descriptor, &mut info).map(|(watched, _)| watched).collect();
            if watched.contains(&mark.as_raw_fd())
                && let Some(slot) = epolls.next()
            {
                let waker = watched.into_iter().find(|watched| is(EVENTFD, *watched)).unwrap_or(NONE);
                WAKER.store(waker, Ordering::Relaxed);
                slot.store(descriptor, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Closes in a child what the parent's runtime had open. Async-signal-safe: system calls and the stack alone.
    pub fn close_inherited() {
        let waker = WAKER.swap(NONE, Ordering::Relaxed);
        for epoll in EPOLLS.each_ref().map(|epoll| epoll.swap(NONE, Ordering::Acquire)) {
            let mut info = [0; INFO_LEN];
            // The application may have closed it, as daemons close all that they inherit: the number may be another's.
            if epoll == NONE || !is(EPOLL, epoll) || !watched_by(epoll, &mut info).any(|(watched, _)| watched == waker)
            {
                continue;
            }
            for (descriptor, inode) in watched_by(epoll, &mut info) {
                // The parent goes on, and so does its epoll: a number may be that of a new connection there, and that
                // of one of the application's files here.
                if is_connection(descriptor, inode) || (descriptor == waker && is(EVENTFD, waker)) {
                    close(descriptor);
                }
            }
            close(epoll);
        }
    }

    #[allow(unsafe_code)]
    fn close(descriptor: RawFd) {
        // SAFETY: the descriptors were the parent's runtime's, of which the child uses nothing.
        unsafe { libc::close(descriptor) };
    }

    /// Whether the descriptor is of this kind, as /proc names it.
    #[allow(unsafe_code)]
    fn is(kind: &[u8], descriptor: RawFd) -> bool {
        let path = path("/proc/self/fd/", descriptor);
        let mut name = [0; 64];
        // SAFETY: the path ends with a zero; no more is written than there is room for.
        let len = unsafe { libc::readlink(path.as_ptr().cast(), name.as_mut_ptr().cast(), name.len()) };
        usize::try_from(len).is_ok_and(|len| &name[..len] == kind)
    }

    /// Ends with a zero.
    fn path(folder: &str, descriptor: RawFd) -> [u8; 64] {
        let mut path = [0; 64];
        let _ = write!(&mut path[..63], "{folder}{descriptor}");
        path
    }

    /// Whether it is the socket or pipe of this inode.
    #[allow(unsafe_code)]
    fn is_connection(descriptor: RawFd, inode: u64) -> bool {
        // SAFETY: `fstat` fills the local variable, all of whose bit patterns are valid.
        let stat = unsafe {
            let mut stat = std::mem::zeroed::<libc::stat>();
            if libc::fstat(descriptor, &mut stat) != 0 {
                return false;
            }
            stat
        };
        let kind = stat.st_mode & libc::S_IFMT;
        stat.st_ino == inode && (kind == libc::S_IFSOCK || kind == libc::S_IFIFO)
    }

    /// Room for a hundred connections.
    const INFO_LEN: usize = 8192;

    /// The descriptors that an epoll waits for, and their inodes: `tfd: 5 events: 19 data: 7f pos:0 ino:61 sdev:8`.
    fn watched_by(epoll: RawFd, info: &mut [u8; INFO_LEN]) -> impl Iterator<Item = (RawFd, u64)> {
        let read = read_info(epoll, info);
        info[..read].split(|byte| *byte == b'\n').filter_map(|line| {
            let line = str::from_utf8(line).ok()?;
            let descriptor = line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok()?;
            let inode = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("ino:"))?;
            Some((descriptor, u64::from_str_radix(inode, 16).ok()?))
        })
    }

    #[allow(unsafe_code)]
    fn read_info(epoll: RawFd, info: &mut [u8; INFO_LEN]) -> usize {
        let path = path("/proc/self/fdinfo/", epoll);
        // SAFETY: the path ends with a zero; `read` is given no more than the room there is.
        unsafe {
            let file = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
            if file < 0 {
                return 0;
            }
            let mut len = 0;
            while len < INFO_LEN {
                match libc::read(file, info[len..].as_mut_ptr().cast(), INFO_LEN - len) {
                    read if read > 0 => len += read.unsigned_abs(),
                    _ => break,
                }
            }
            libc::close(file);
            len
        }
    }
}
