//! Daemon threads at the interpreter's exit.
//!
//! CPython before 3.14 ends a daemon thread that wants the GIL while the interpreter exits with `pthread_exit`. On
//! glibc that unwinds the stack, and frames of Rust cannot be unwound by anything but a panic: the process would abort.
//! Here such a thread is put to sleep before anything is unwound, as CPython 3.14 does itself. It holds neither the GIL
//! nor a lock of ours, and nobody waits for it. Elsewhere (musl, macOS) `pthread_exit` unwinds nothing.

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn outlast_exit() {}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use glibc::outlast_exit;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::cell::Cell;
    use std::ffi::{CStr, c_int, c_void};
    use std::ptr::null_mut;

    type Routine = extern "C" fn(*mut c_void);
    type Push = unsafe extern "C" fn(*mut Buffer, Routine, *mut c_void);
    type IsFinalizing = unsafe extern "C" fn() -> c_int;

    /// `struct _pthread_cleanup_buffer` of glibc's `pthread.h`.
    #[repr(C)]
    struct Buffer {
        routine: Option<Routine>,
        argument: *mut c_void,
        cancel_type: c_int,
        previous: *mut Buffer,
    }

    thread_local! {
        static OUTLASTS: Cell<bool> = const { Cell::new(false) };
    }

    /// From now on this thread is not unwound by the interpreter's exit. To be called wherever Python code may run.
    #[inline]
    pub fn outlast_exit() {
        if !OUTLASTS.get() {
            register();
        }
    }

    #[cold]
    #[allow(unsafe_code)]
    fn register() {
        OUTLASTS.set(true);
        // Python gave it its public name in 3.13.
        let is_finalizing = [c"Py_IsFinalizing", c"_Py_IsFinalizing"].map(find).into_iter().find(|f| !f.is_null());
        let (push, Some(is_finalizing)) = (find(c"_pthread_cleanup_push"), is_finalizing) else { return };
        if push.is_null() {
            return;
        }
        // glibc runs a routine when the frame that holds its buffer is left, and takes a buffer outside of the thread's
        // stack for one that is left at once, before the innermost frame. So the buffer is on the heap.
        let buffer =
            Box::leak(Box::new(Buffer { routine: None, argument: null_mut(), cancel_type: 0, previous: null_mut() }));
        // SAFETY: glibc exports the function with this signature. The buffer may stay on the thread's list, since it is
        // never freed, and so may the routine: the module is never unloaded.
        unsafe {
            let push: Push = std::mem::transmute(push);
            push(buffer, sleep_if_finalizing, is_finalizing);
        }
    }

    #[allow(unsafe_code)]
    fn find(name: &CStr) -> *mut c_void {
        // SAFETY: the name is a C string; RTLD_DEFAULT searches what is loaded.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
    }

    /// Runs first of all when this thread is unwound. A thread that ends otherwise than by the interpreter goes on.
    #[allow(unsafe_code)]
    extern "C" fn sleep_if_finalizing(is_finalizing: *mut c_void) {
        // SAFETY: `register` gave it Python's function of this signature, which reads one atomic variable and needs
        // neither the GIL nor a thread state; `pause` has no preconditions.
        unsafe {
            let is_finalizing: IsFinalizing = std::mem::transmute(is_finalizing);
            if is_finalizing() != 0 {
                loop {
                    libc::pause();
                }
            }
        }
    }
}
