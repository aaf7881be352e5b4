//! A way to a server on which answers are lost.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A way to a server on which answers can be lost: each connection ends when the server begins to answer an insert.
pub(super) fn losing_proxy(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let is_insert = Arc::new(Mutex::new(false));
                let noted = Arc::clone(&is_insert);
                std::thread::spawn(move || {
                    let mut buffer = [0; 65_536];
                    while let Ok(size @ 1..) = from.read(&mut buffer) {
                        if buffer[..size].windows(12).any(|w| w == b"query=INSERT") {
                            *noted.lock().unwrap() = true;
                        }
                        if to.write_all(&buffer[..size]).is_err() {
                            break;
                        }
                    }
                });
                let (mut from, mut to) = (upstream, client);
                let mut buffer = [0; 65_536];
                while let Ok(size @ 1..) = from.read(&mut buffer) {
                    if *is_insert.lock().unwrap() {
                        let _ = to.shutdown(std::net::Shutdown::Both);
                        break;
                    }
                    if to.write_all(&buffer[..size]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}
