// DOM and formatting functions of the other files.

export const byId = (id) => document.getElementById(id);

/** Creates an element. `text` is its text; all other properties are set as attributes. */
export function element(tag, { text, ...attributes } = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  if (text !== undefined) created.textContent = text;
  created.append(...children);
  return created;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});

export const timeOfDay = (date = new Date()) => clock.format(date);

/** Formats seconds as m:ss. */
export function minutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
