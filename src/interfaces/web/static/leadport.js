// The copy button. Without JavaScript, a click on the callback URL selects it.
for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    const label = button.firstChild;
    const before = label.data;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      return;
    }
    label.data = document.getElementById("copied").textContent = button.dataset.copied;
    setTimeout(() => (label.data = before), 2000);
  });
}
