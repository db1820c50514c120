//! The buffer and the automatic size of shipped servers, written from spec 4.2 to 4.5: the model to compare with.

/// A buffer with sequence numbers (spec 4.3); the payload is the block's running number.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    slots: Vec<Option<i64>>,
    get: usize,
    expected: u8,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        Self { slots: vec![None; size], get: 0, expected: 0 }
    }

    pub(crate) fn expecting(mut self, seq: u8) -> Self {
        self.expected = seq;
        self
    }

    pub(crate) fn put(&mut self, seq: u8, block: i64) {
        let n = self.slots.len();
        let d = i32::from(seq.wrapping_sub(self.expected) as i8);
        let slot = if d < 0 {
            for _ in 0..-d {
                self.slots[self.get] = None;
                self.expected = self.expected.wrapping_sub(1);
                self.get = (self.get + n - 1) % n;
            }
            self.get
        } else if d >= n as i32 {
            for _ in 0..d - n as i32 + 1 {
                self.slots[self.get] = None;
                self.expected = self.expected.wrapping_add(1);
                self.get = (self.get + 1) % n;
            }
            (self.get + n - 1) % n
        } else {
            (self.get + d as usize) % n
        };
        self.slots[slot] = Some(block);
    }

    pub(crate) fn get(&mut self) -> Option<i64> {
        let block = self.slots[self.get].take();
        self.get = (self.get + 1) % self.slots.len();
        self.expected = self.expected.wrapping_add(1);
        block
    }

    pub(crate) fn resize(&mut self, size: usize) {
        let n = self.slots.len();
        let mut slots = vec![None; size];
        for (i, slot) in slots.iter_mut().enumerate().take(n.min(size)) {
            *slot = self.slots[(self.get + i) % n];
        }
        self.slots = slots;
        self.get = 0;
    }
}

/// A buffer without sequence numbers (spec 4.2).
#[derive(Clone, Debug)]
pub(crate) struct Fifo {
    blocks: std::collections::VecDeque<i64>,
    size: usize,
}

impl Fifo {
    pub(crate) fn new(size: usize) -> Self {
        Self { blocks: std::collections::VecDeque::new(), size }
    }

    pub(crate) fn put(&mut self, datagram: &[i64]) -> bool {
        let fits = self.blocks.len() + datagram.len() <= self.size;
        if fits {
            self.blocks.extend(datagram);
        }
        fits
    }

    pub(crate) fn get(&mut self) -> Option<i64> {
        self.blocks.pop_front()
    }

    pub(crate) fn resize(&mut self, size: usize) {
        self.size = size;
        self.blocks.truncate(size);
    }
}

/// Either of the two.
#[derive(Clone, Debug)]
pub(crate) enum Buffer {
    Window(Window),
    Fifo(Fifo),
}

impl Buffer {
    pub(crate) fn new(numbered: bool, size: usize, expected: u8) -> Self {
        if numbered {
            Self::Window(Window::new(size).expecting(expected))
        } else {
            Self::Fifo(Fifo::new(size))
        }
    }

    pub(crate) fn put(&mut self, datagram: &[i64]) -> bool {
        match self {
            Self::Window(window) => {
                for &block in datagram {
                    window.put(block as u8, block);
                }
                true
            }
            Self::Fifo(fifo) => fifo.put(datagram),
        }
    }

    pub(crate) fn get(&mut self) -> Option<i64> {
        match self {
            Self::Window(window) => window.get(),
            Self::Fifo(fifo) => fifo.get(),
        }
    }

    pub(crate) fn resize(&mut self, size: usize) {
        match self {
            Self::Window(window) => window.resize(size),
            Self::Fifo(fifo) => fifo.resize(size),
        }
    }
}

/// Moving average of errors with "double error blocking" (spec 4.5).
struct ErrorRate {
    values: Vec<bool>,
    next: usize,
    filled: usize,
    errors: usize,
    previous_was_error: bool,
}

impl ErrorRate {
    fn new(len: usize) -> Self {
        Self { values: vec![false; len], next: 0, filled: 0, errors: 0, previous_was_error: true }
    }

    fn note(&mut self, error: bool) {
        if error && self.previous_was_error {
            return;
        }
        self.previous_was_error = error;
        if self.filled == self.values.len() {
            self.errors -= usize::from(self.values[self.next]);
        } else {
            self.filled += 1;
        }
        self.values[self.next] = error;
        self.errors += usize::from(error);
        self.next = (self.next + 1) % self.values.len();
    }

    fn average(&self) -> f64 {
        if self.filled == 0 { 1.0 } else { self.errors as f64 / self.filled as f64 }
    }
}

struct Weights {
    up: f64,
    down: f64,
    up_fast: f64,
    down_fast: f64,
}

/// The automatic size (spec 4.5) with the buffer it controls.
pub(crate) struct AutoBuffer {
    real: Buffer,
    size: usize,
    simulations: Vec<(Buffer, ErrorRate)>,
    window: usize,
    error_bound: f64,
    upper_bound: f64,
    weights: Weights,
    init_counter: usize,
    filter: f64,
    automatic: usize,
}

impl AutoBuffer {
    pub(crate) fn new(samples: usize, numbered: bool, expected: u8) -> Self {
        let (window, error_bound, upper_bound, weights) = if samples == 128 {
            (11_000, 0.0005, 0.01, Weights { up: 0.999_995, down: 0.9999, up_fast: 0.9995, down_fast: 0.999 })
        } else {
            let weights = Weights {
                up: 0.999_997_5,
                down: 0.999_949_998_75,
                up_fast: 0.999_749_968_742_2,
                down_fast: 0.999_499_875,
            };
            (22_500, 0.000_25, 0.005, weights)
        };
        let simulations =
            (2..=11).map(|size| (Buffer::new(numbered, size, expected), ErrorRate::new(window))).collect();
        Self {
            real: Buffer::new(numbered, 10, expected),
            size: 10,
            simulations,
            window,
            error_bound,
            upper_bound,
            weights,
            init_counter: window / 4,
            filter: 6.0,
            automatic: 6,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn put(&mut self, datagram: &[i64]) {
        for (buffer, rate) in &mut self.simulations {
            rate.note(!buffer.put(datagram));
        }
        self.real.put(datagram);
    }

    pub(crate) fn get(&mut self) -> Option<i64> {
        for (buffer, rate) in &mut self.simulations {
            rate.note(buffer.get().is_none());
        }
        let block = self.real.get();
        self.decide();
        block
    }

    /// Once per tick.
    pub(crate) fn apply(&mut self) {
        if self.automatic != self.size {
            self.size = self.automatic;
            self.real.resize(self.size);
        }
    }

    fn decide(&mut self) {
        let smallest = |bound: f64, simulations: &[(Buffer, ErrorRate)]| {
            simulations[..9].iter().position(|(_, rate)| rate.average() <= bound).map(|i| i + 2)
        };
        let decision = smallest(self.error_bound, &self.simulations).unwrap_or(11) as f64;
        let max_up = smallest(self.upper_bound, &self.simulations).unwrap_or_else(|| {
            self.init_counter = self.window / 4;
            11
        });
        let fast = self.init_counter > 0 || self.automatic < max_up;
        self.init_counter = self.init_counter.saturating_sub(usize::from(self.init_counter > 0));
        let (up, down) = if fast {
            (self.weights.up_fast, self.weights.down_fast)
        } else {
            (self.weights.up, self.weights.down)
        };
        let w = if decision < self.filter { down } else { up };
        self.filter = self.filter * w + (1.0 - w) * decision;
        let rounded = if self.filter > 6.0 { self.filter - 0.1 } else { self.filter + 0.1 };
        self.automatic = (rounded + 0.5).floor() as usize;
        if self.init_counter == self.window / 8 && self.simulations[9].1.average() > self.error_bound {
            for (_, rate) in &mut self.simulations {
                *rate = ErrorRate::new(self.window);
            }
        }
    }
}

#[test]
fn the_window_follows_the_trace_of_the_specification() {
    let mut window = Window::new(4).expecting(7);
    window.put(10, 10);
    window.put(11, 11);
    assert_eq!((window.get(), window.get()), (None, None));
    assert_eq!(window.get(), Some(10));
    window.put(12, 12);
    assert_eq!(window.get(), Some(11));
    window.put(14, 14);
    window.put(13, 13);
    assert_eq!((window.get(), window.get()), (Some(12), Some(13)));
    assert_eq!(window.expected, 14);
    window.put(9, 9);
    assert_eq!(window.expected, 9);
    assert_eq!(window.get(), Some(9));
    assert_eq!((window.get(), window.get(), window.get()), (None, None, None), "14 is gone: the quirk");
}

#[test]
fn the_fifo_refuses_a_datagram_that_does_not_fit_as_a_whole() {
    let mut fifo = Fifo::new(3);
    assert!(fifo.put(&[1, 2]));
    assert!(!fifo.put(&[3, 4]));
    assert_eq!((fifo.get(), fifo.get(), fifo.get()), (Some(1), Some(2), None));
    assert!(fifo.put(&[5, 6]));
    fifo.resize(1);
    assert_eq!((fifo.get(), fifo.get()), (Some(5), None));
}
