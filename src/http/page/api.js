// Calls of the gateway's API: gRPC's methods by POST, in proto3's JSON.

export class ApiError extends Error {
  // `status` is HTTP's, or 0 if no answer came.
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// In memory only: whoever comes to this tab later, and what else may run in
// this browser profile, finds nothing of it.
let token = '';
export const setToken = (value) => { token = value; };
export const hasToken = () => token !== '';

const TIMEOUT_MS = 20_000;

export const events = new EventTarget();

export async function call(method, request) {
  const headers = { 'Content-Type': 'application/json' };
  const used = token;
  if (used) headers.Authorization = `Bearer ${used}`;
  let response;
  try {
    response = await fetch(`/waggle.v1.${method}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(request),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = await response.json();
    events.dispatchEvent(new Event('answered'));
    if (response.ok) return body;
    if (response.status === 401 && used === token) events.dispatchEvent(new Event('stranger'));
    throw new ApiError(response.status, body.detail ?? response.statusText);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    events.dispatchEvent(new Event('silent'));
    throw new ApiError(0, 'The gateway does not answer.');
  }
}

// Runs `work` now and again `pause` ms after each end, while it is started and
// the page can be seen; less often while it fails.
export class Poll {
  #work;
  #pause;
  #timer = 0;
  #started = false;
  #running = false;
  #again = false;
  #failures = 0;

  constructor(work, pause) {
    this.#work = work;
    this.#pause = pause;
    document.addEventListener('visibilitychange', () => this.now());
  }

  start() {
    this.#started = true;
    this.now();
  }

  stop() {
    this.#started = false;
    clearTimeout(this.#timer);
  }

  async now() {
    clearTimeout(this.#timer);
    if (!this.#started || document.hidden) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      await this.#work();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      ++this.#failures;
    } finally {
      this.#running = false;
      clearTimeout(this.#timer);
      if (this.#started) {
        const pause = this.#again ? 0 : Math.min(this.#pause * 2 ** this.#failures, Math.max(this.#pause, 5000));
        this.#timer = setTimeout(() => this.now(), pause);
      }
      this.#again = false;
    }
  }
}
